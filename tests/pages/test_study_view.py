"""The results of a study on screen, over small real studies that are computed once."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree

import pandas as pd
import pytest
import streamlit as st
from books import NOW, opened
from streamlit.testing.v1 import AppTest

from volbal.domain.policy import Policy
from volbal.domain.study_states import Step
from volbal.domain.wording import short_percent
from volbal.engine.goals import Constraint, Goal
from volbal.engine.grid import Parameter, exact_range
from volbal.engine.metrics import METRIC
from volbal.formatting import metric_text
from volbal.services import (
    market_data,
    positions,
    price_import,
    running,
    settings,
    studies,
    study_results,
    study_runner,
    study_sides,
)
from volbal.services.research import Setup
from volbal.services.study_request import StudyRequest
from volbal.services.study_results import View
from volbal.ui import study_charts, study_heatmap, study_plots
from volbal.ui.fields import parameter_text
from volbal.ui.study_heatmap import Shown
from volbal.ui.study_shared import (
    Looked,
    choose,
    counted,
    key_of,
    option_input,
    pinned,
    turn_pin,
)

SHORT = Setup(start=date(2013, 1, 2), end=date(2014, 6, 30))
WIDE = StudyRequest(
    "Two shares",
    ("KO", "AAPL"),
    (
        exact_range("trigger_threshold", "0.01", "0.06", "0.01"),
        exact_range("min_stock_share", "0.3", "0.8", "0.1"),  # 0.8 is above max_stock_share
        Parameter("auto_rebalance", (True, False)),
    ),
    goals=(Goal("excess_return"), Goal("max_drawdown", 0.5)),
    constraints=(Constraint("fill_count", "min_value", 8.0),),
    setup=SHORT,
)
LINE = StudyRequest(
    "One parameter", ("KO",), (exact_range("trigger_threshold", "0.01", "0.05", "0.01"),),
    setup=SHORT,
)  # fmt: skip
SPLIT = StudyRequest(
    "Split",
    ("KO",),
    (
        exact_range("trigger_threshold", "0.01", "0.05", "0.01"),
        exact_range("rebalance_ratio", "0.5", "2.5", "0.5"),
    ),
    setup=SHORT,
    split=True,
)
OWN = replace(LINE, symbols=("ZZZ",), setup=Setup())
TWO, ONE, PARTS, GONE = 1, 2, 3, 4
"""Their numbers; the prices of the last one are deleted."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records with the studies completed and a position."""
    path = tmp_path_factory.mktemp("studies") / "volbal.duckdb"
    with opened(path) as database:
        file = b"Date,Close\n2020-01-02,10\n2020-01-03,11\n2020-01-06,9\n"
        price_import.save(database, price_import.preview(database, "zzz.csv", file, "ZZZ"), NOW)
        for request in (WIDE, LINE, SPLIT, OWN):
            study_id = studies.create(database, request, NOW).study_id
            studies.take(database, study_id, Step.START, NOW)
            study_runner.work(database, study_id, workers=1)
        market_data.delete(database, "ZZZ")
        positions.open_position(database, "KO", quantity=100, cash=10_000, now=NOW)
    return path


@pytest.fixture
def database(stored: Path, tmp_path: Path) -> running.Database:
    """A copy of them, where the pages look."""
    shutil.copy(stored, tmp_path / "volbal.duckdb")
    return running.database()


@pytest.fixture
def open_study(database: running.Database, open_page: Any) -> Callable[..., AppTest]:
    """Opens a study as a link does: `open_study(TWO, panel="table")`."""

    def shown(study_id: int, **query: Any) -> AppTest:
        texts = {name: str(value) for name, value in {"study": study_id, **query}.items()}
        app: AppTest = open_page("optimize", texts)
        assert not app.exception
        return app

    return shown


def looked(database: running.Database, study_id: int, view: View | None = None) -> Looked:
    return Looked(database, studies.get(database, study_id), view or View(), "test")


def words(app: AppTest) -> str:
    elements = [*app.markdown, *app.caption, *app.info, *app.warning, *app.subheader, *app.success]
    return " ".join(str(element.value) for element in elements)


def chart(app: AppTest) -> Any:
    return app.get("vega_lite_chart")[0].proto


def figure(app: AppTest, label: str) -> str:
    return next(str(metric.value) for metric in app.metric if metric.label == label)


def table(app: AppTest) -> pd.DataFrame:
    frame: pd.DataFrame = app.dataframe[0].value
    return frame


def test_what_ranked_what_on_which_range_is_said(
    open_study: Callable[..., AppTest], database: running.Database
) -> None:
    app = open_study(TWO)
    counts = study_results.counts(database, TWO)
    assert f"{counts.rejected} of 60 rejected: {counts.rejected} by fills at least 8." in words(app)
    assert "1 × **excess return** ↑ + 0.5 × **maximum drawdown** ↑" in words(app)
    assert "**the whole range**" in words(app)
    assert "No vault." in words(app)
    # 6 × 5 × 2 valid cells on each of two symbols, and the other studies' 5 and 25 on KO.
    assert "150 cells have ever been tried on these symbols" in words(app)
    assert "**the search part of the range**" in words(open_study(PARTS))


def test_the_map_shows_every_pair_with_the_values_of_the_study(database: running.Database) -> None:
    shown = Shown("excess_return", "min_stock_share", "trigger_threshold", (), "median")
    seen = study_heatmap.picture(looked(database, TWO), shown)
    broken = seen.cells.loc[seen.cells["kind"] == "invalid", "Status"]
    assert set(broken) == {"invalid: min stock share is not below max stock share"}
    found = study_results.heatmap(
        database, TWO, "min_stock_share", "trigger_threshold", "excess_return", aggregate="median"
    ).cells
    assert len(seen.cells) == 36
    expected = {
        (f"{row.min_stock_share:g}", f"{row.trigger_threshold:g}"): row.value
        for row in found.itertuples()
        if pd.notna(row.value)
    }
    with_value = seen.cells[seen.cells["kind"] == "shown"]
    assert {(x, y): value for x, y, value in with_value[["x", "y", "value"]].values} == expected
    invalid = seen.cells[seen.cells["kind"] == "invalid"]
    assert set(invalid["x"]) == {"0.8"}
    assert len(invalid) == 6
    rejected = found.loc[found["status"] == "rejected", "cell_id"]
    assert 0 < len(rejected) < 30
    pale = seen.cells.loc[seen.cells["opacity"] < 1.0, "cell_id"]
    assert set(pale) == set(rejected)


def test_best_chosen_and_base_policy_are_marked_where_they_lie(database: running.Database) -> None:
    here = looked(database, TWO)
    counts, shown = counted(here), Shown("cagr", "trigger_threshold", "min_stock_share")
    seen = study_heatmap.picture(here, shown)
    marked = study_heatmap._marked(here, shown, seen, counts, 30)
    for name, cell in (("best", counts.best), ("chosen", 30), ("default", counts.default)):
        values = WIDE.grid.cell(cell or 0)
        (at,) = marked.loc[marked[name], ["x", "y"]].values.tolist()
        assert at == [f"{values['trigger_threshold']:g}", f"{values['min_stock_share']:g}"]
    # Cell 30 has auto_rebalance on; a map of the others does not show it.
    held = replace(shown, fixed=(("auto_rebalance", False),))
    other = study_heatmap.picture(here, held)
    assert not study_heatmap._marked(here, held, other, counts, 30)["chosen"].any()


def test_a_map_is_drawn_with_frames_hatches_and_its_selection(
    open_study: Callable[..., AppTest],
) -> None:
    spec = json.loads(chart(open_study(TWO, cell=30)).spec)
    (selected,) = [one for one in spec["layer"] if "transform" in one]
    layers = [one for one in spec["layer"] if one is not selected]
    marks = [layer["mark"]["type"] for layer in layers]
    assert marks.count("rect") == 2  # with a value, and without
    shapes = [one["mark"].get("shape") for one in layers]
    assert shapes.count({"expr": study_charts.HATCH}) == 1
    assert shapes.count({"expr": study_charts.FRAME}) == 2  # dark and light, of the best
    frames = [one["mark"]["shape"]["expr"] for one in selected["layer"]]
    assert frames == [study_charts.FRAME] * 2
    (click,) = [one for one in spec["params"] if one["name"] == "cell"]
    assert click["value"] == [{"cell_id": 30}]
    told = layers[0]["encoding"]["tooltip"]["value"]["expr"]  # null would leave it where it is
    assert told.startswith(f"{study_charts.SELECTED} ? '' : {{")


def test_metric_axes_and_the_other_parameters_can_be_chosen(
    open_study: Callable[..., AppTest],
) -> None:
    app = open_study(TWO)
    assert (
        "by trigger threshold and min stock share; the best over auto rebalance" in chart(app).alt
    )
    app.selectbox(key="optimize.metric").set_value("sharpe_ratio").run()
    app.selectbox(key="optimize.x").set_value("auto_rebalance").run()
    app.selectbox(key="optimize.aggregate").set_value("median").run()
    told = chart(app).alt
    assert "Sharpe ratio of KO, AAPL by auto rebalance and min stock share" in told
    assert "the median over trigger threshold" in told
    assert app.query_params["metric"] == "sharpe_ratio"
    app.selectbox(key="optimize.held.trigger_threshold").set_value(1).run()
    assert "Trigger threshold 0.02 in 12 cells" in chart(app).alt


def test_where_every_cell_is_rejected_it_says_by_what_and_how_far_the_cells_reach(
    open_study: Callable[..., AppTest], database: running.Database
) -> None:
    app = open_study(TWO, constraint="max_drawdown:min_value:-0.001", metric="score")
    rows = study_results.page(database, TWO, limit=100).rows
    low, high = (metric_text(METRIC["max_drawdown"], end) for end in
                 (rows["max_drawdown"].min(), rows["max_drawdown"].max()))  # fmt: skip
    told = words(app)
    assert "60 of 60 rejected: 60 by maximum drawdown at least -0.1 %." in told
    assert f"The cells have maximum drawdown from {low} to {high}." in told
    assert "none has a score" in told


def test_a_chosen_cell_shows_its_own_figures_and_opens_in_simulate(
    open_study: Callable[..., AppTest], open_page: Any, database: running.Database
) -> None:
    app = open_study(TWO, of="KO", cell=30)
    told = study_results.cell(database, TWO, 30, View("KO"))
    assert "Selected cell" in words(app)
    assert f"**{parameter_text(dict(told.parameters))}**" in words(app)
    for name in ("total_return", "max_drawdown", "fill_count"):
        assert figure(app, METRIC[name].label) == metric_text(METRIC[name], told.metrics[name])
    link = parse_qs(app.get("page_link")[-1].proto.query_string)
    simulated = open_page("simulate", {name: values[0] for name, values in link.items()})
    assert figure(simulated, "Final value") == figure(app, "Final value")


def test_an_invalid_cell_says_which_bound_it_breaks_and_an_unknown_one_that_there_is_none(
    open_study: Callable[..., AppTest],
) -> None:
    # Cell 10 is threshold 0.01, min_stock_share 0.8.
    assert "0.8 is not below max_stock_share 0.75" in words(open_study(TWO, cell=10))
    app = open_study(TWO, cell=5000)
    assert "5000" in app.warning[0].value
    assert "Best cell" in words(app)


def test_the_table_is_paged_sorted_and_filtered_by_the_database(
    open_study: Callable[..., AppTest], database: running.Database
) -> None:
    app = open_study(TWO, panel="table", of="KO")
    best = study_results.page(database, TWO, View("KO"), limit=15).rows
    assert list(table(app)["plateau"]) == [f"{value:.3f}" for value in best["plateau"]]
    assert "1 to 15 of 72 cells" in words(app)
    app.selectbox(key="optimize.sort").set_value("fill_count").run()
    app.selectbox(key="optimize.order").set_value("highest first").run()
    fills = [int(text) for text in table(app)["fill_count"]]
    assert fills == sorted(fills, reverse=True)
    app.pills(key="optimize.status").set_value(["feasible", "unranked"]).run()
    app.multiselect(key="optimize.limited").set_value(["fill_count"]).run()
    app.number_input(key="optimize.limit.fill_count.high").set_value(20.0).run()
    app.multiselect(key="optimize.keep.auto_rebalance").set_value([1]).run()
    shown = table(app)
    assert set(shown["auto_rebalance"]) == {"off"}
    assert {int(text) for text in shown["fill_count"]} <= set(range(8, 21))
    assert "that are feasible or unranked and have auto rebalance off" in words(app)
    app.number_input(key="optimize.limit.fill_count.high").set_value(1.0).run()
    assert "There are no cells that are feasible or unranked and have auto" in words(app)


def test_a_link_to_a_panel_with_a_cell_keeps_both_and_columns_can_be_picked(
    open_study: Callable[..., AppTest],
) -> None:
    app = open_study(ONE, panel="table", cell=2)
    assert "turnover" not in table(app)
    columns = app.multiselect(key="optimize.columns")
    columns.set_value([*columns.value, "turnover"]).run()
    assert "turnover" in table(app)
    assert (app.query_params["panel"], app.query_params["cell"]) == ("table", "2")


def test_cells_are_put_side_by_side_from_any_panel_and_the_link_keeps_them(
    open_study: Callable[..., AppTest], database: running.Database
) -> None:
    app = open_study(PARTS, cell=7)  # as after a click on the map
    app.button(key="optimize-pin").click().run()
    assert app.query_params["cells"] == "7"
    app.session_state["optimize.panel"] = "table"
    app.session_state["optimize.cell"] = 11
    app.run()
    app.button(key="optimize-pin").click().run()
    rows = study_results.page(database, PARTS, limit=25).rows["cell_id"].tolist()
    added = dict(zip(rows, table(app)["pin"], strict=False))
    assert {added.get(7, "Remove"), added.get(11, "Remove")} == {"Remove"}
    assert set(table(app)["pin"]) == {"Add", "Remove"}
    app.button(key="optimize-sides").click().run()
    assert (app.query_params["panel"], app.query_params["cells"]) == ("cells", "7,11")
    shown = open_study(PARTS, panel="cells", cells="7,11")
    assert shown.get("echarts_chart")
    standing, metrics = (frame.value.set_index("Figure") for frame in shown.dataframe)
    told = study_sides.compare_cells(database, PARTS, [7, 11])
    # Cell 7 is threshold 0.02 and ratio 1.5, cell 11 is 0.03 and 1.
    assert standing.loc["Trigger threshold ≠"].tolist() == ["0.02", "0.03"]
    for one in told.cells:
        better = one.cell_id in told.better["excess_return"]
        text = metric_text(METRIC["excess_return"], one.metrics["excess_return"])
        assert metrics.loc["Excess return ↑", f"Cell {one.cell_id}"] == f"{'★ ' * better}{text}"
    assert metrics.index[0] == "Excess return ↑"  # the goal stands first
    simulated = study_results.simulate_cell(database, PARTS, 7)
    history = simulated.prepared.history
    assert f"**KO · {history.first_date} to {history.last_date}**, the search part" in words(shown)


def test_cells_that_cannot_stand_side_by_side_are_named_and_the_others_do(
    open_study: Callable[..., AppTest],
) -> None:
    app = open_study(TWO, panel="cells", cells="10,5000,30")
    assert "there is no cell 5000" in app.warning[0].value
    assert "It is left out." in app.warning[0].value
    # Cell 10 breaks a bound: it has a card, and nothing that could be drawn or applied.
    assert "0.8 is not below max_stock_share 0.75" in words(app)
    assert app.dataframe[0].value.columns.tolist() == ["Figure", "Cell 10", "Cell 30"]
    assert app.query_params["cells"] == "10,30"
    assert [one.key for one in app.button if "apply" in (one.key or "")] == ["optimize-apply-30"]
    assert "Choose 2 to 4 cells" in words(open_study(TWO, panel="cells", cells="30"))


def test_one_parameter_is_drawn_as_a_line_and_has_no_slices(
    open_study: Callable[..., AppTest],
) -> None:
    app = open_study(ONE)
    marks = {layer["mark"]["type"] for layer in json.loads(chart(app).spec)["layer"]}
    assert {"line", "point"} <= marks
    assert "Slices" not in str(app.get("button_group"))


def test_two_symbols_are_pooled_or_looked_at_one_by_one(
    open_study: Callable[..., AppTest], database: running.Database
) -> None:
    app = open_study(TWO, cell=30)
    assert "of **2 symbols** (the mean of the scores on each) on" in words(app)
    simulated = app.selectbox(key="optimize.simulated")
    on_ko = figure(app, "Total return")
    simulated.set_value("AAPL").run()
    alone = study_results.cell(database, TWO, 30, View("AAPL")).metrics["total_return"]
    assert figure(app, "Total return") == metric_text(METRIC["total_return"], alone) != on_ko
    assert "of **AAPL**" in words(open_study(TWO, of="AAPL"))


def test_trade_offs_join_the_front_and_a_single_goal_is_set_against_another_metric(
    open_study: Callable[..., AppTest],
) -> None:
    app = open_study(TWO, panel="trade-offs")
    layers = json.loads(chart(app).spec)["layer"]
    assert "line" in {layer["mark"]["type"] for layer in layers}
    assert "Excess return against maximum drawdown" in chart(app).alt
    single = open_study(ONE, panel="trade-offs")
    single.selectbox(key="optimize.against").set_value("volatility").run()
    assert "Excess return against volatility" in chart(single).alt


def test_parallel_axes_put_the_good_end_of_every_goal_on_top(database: running.Database) -> None:
    goals = (Goal("turnover"), Goal("cagr"))
    here = looked(database, TWO, View(goals=goals))
    assert study_plots._scale(here, "turnover").inverted
    assert not study_plots._scale(here, "cagr").inverted
    assert study_plots._scale(here, "auto_rebalance").labels == ("on", "off")


def test_slices_lead_from_the_chosen_cell_along_each_parameter(
    open_study: Callable[..., AppTest],
) -> None:
    app = open_study(TWO, panel="slices", cell=30)
    told = [one.proto.alt for one in app.get("vega_lite_chart")]
    names = ("trigger threshold", "min stock share", "auto rebalance")
    assert [any(f"by {name} alone" in one for one in told) for name in names] == [True] * 3
    spec = json.loads(app.get("vega_lite_chart")[1].proto.spec)  # 0.8 is no min stock share
    assert [layer["mark"]["type"] for layer in spec["layer"]].count("rule") == 1
    assert "dashed: breaks a bound" in words(app)


def test_a_split_study_ranks_on_its_select_part_and_opens_its_vault_once(
    open_study: Callable[..., AppTest], database: running.Database
) -> None:
    app = open_study(PARTS, panel="evidence", cell=7)
    found = study_results.selection(database, PARTS)
    assert list(table(app)["select"]) == found.rows["select_rank"].tolist()
    assert f"{found.first} to {found.last}" in words(app)
    assert "90 cells have ever been tried on KO, by deleted studies, too;" in words(app)
    assert "which no cell of this study has seen" in words(app)
    app.button(key="optimize-vault").click().run()
    app.button(key="optimize-vault-confirm").click().run()
    opened_for = study_results.vault(database, PARTS)
    assert opened_for is not None
    assert opened_for.cell_id == 7
    assert f"Opened {opened_for.opened_at:%Y-%m-%d}" in words(app)
    searched = study_results.cell(database, PARTS, 7).metrics
    goal, said = METRIC["excess_return"], opened_for.metrics["KO"]
    both = [metric_text(goal, values["excess_return"]) for values in (searched, said)]
    first = app.dataframe[1].value.iloc[0].tolist()
    assert first == ["Excess return ↑", *both]
    assert f"Excess return **{both[1]}** in the vault, {both[0]} on the search part" in words(app)
    assert not [one for one in app.button if one.key == "optimize-vault"]


def test_a_cell_whose_prices_have_changed_keeps_its_figures_without_a_simulation(
    open_study: Callable[..., AppTest], database: running.Database
) -> None:
    with database.write() as connection:
        connection.execute(
            "update studies set prices = replace(prices::varchar, ?, ?) where study_id = ?",
            ['"fingerprint":', '"fingerprint": "other", "before":', ONE],
        )
    app = open_study(ONE, cell=2)
    assert "cannot be simulated again" in app.error[0].value
    assert not app.dataframe  # it is drawn where it is opened
    app.session_state["optimize-all-metrics"] = True
    app.run()
    metrics = table(app).set_index("Metric")["Value"]
    told = study_results.cell(database, ONE, 2).metrics["cagr"]
    assert metrics["Annual return (CAGR) ↑"] == metric_text(METRIC["cagr"], told)


def test_a_study_outlives_the_prices_of_its_symbol(
    open_study: Callable[..., AppTest], open_page: Any
) -> None:
    app = open_study(GONE)
    assert "of **ZZZ** on **the whole range**" in words(app)
    assert [one.proto for one in app.get("vega_lite_chart")]
    assert "cannot be simulated again: There are no 1d prices of ZZZ" in app.error[0].value
    assert any("no 1d prices of ZZZ" in text.value for text in app.sidebar.markdown)
    assert "Not run yet" not in words(app)
    app.multiselect(key="optimize.symbols").set_value(["KO"]).run()
    assert "Not run yet" in words(app)
    chosen = open_page("studies", {"ids": str(GONE)})
    chosen.button(key=f"studies-Run again-{GONE}-completed").click().run()
    assert not chosen.exception
    assert "There are no 1d prices of ZZZ" in chosen.error[0].value


def test_a_policy_is_applied_to_a_position_after_its_differences_were_shown(
    open_study: Callable[..., AppTest], database: running.Database
) -> None:
    settings.configure(database, 1, {"after_hours": True}, by="user", now=NOW)
    app = open_study(PARTS, cell=7)
    app.button(key="optimize-apply").click().run()
    assert "What changes" in words(app)
    # Cell 7 is the second threshold and the third ratio.
    before = app.table[0].value.set_index("Setting")["After"].to_dict()
    assert (before["Trigger up (sell)"], before["Rebalance ratio"]) == (short_percent(0.02), "1.5")
    assert "After hours" not in before  # no study asks it: it stays
    app.button(key="optimize-confirm").click().run()
    policy = positions.find_position(database, 1).configuration.policy
    assert policy == Policy(
        trigger_up=0.02, trigger_down=0.02, rebalance_ratio=1.5, after_hours=True
    )
    assert "KO #1 has this policy now" in words(app)
    assert any(one.proto.query_string == "id=1" for one in app.get("page_link"))


def test_while_cells_are_missing_it_says_how_many_there_are(
    open_study: Callable[..., AppTest], database: running.Database
) -> None:
    with database.write() as connection:
        connection.execute("delete from cells where study_id = ? and cell_id >= 10", [PARTS])
    app = open_study(PARTS)
    assert "So far 10 of 25 cells." in words(app)
    assert "empty: not stored yet" in words(app)


def test_values_in_blocks_show_the_best_that_is_in_the_running() -> None:
    whole = pd.DataFrame(
        {
            "x": [0.0, 1.0, 2.0, 3.0, 4.0],
            "value": [5.0, 3.0, 4.0, 1.0, float("nan")],
            "status": ["feasible", "feasible", "feasible", "rejected", "feasible"],
        }
    )
    blocks = {"x": study_heatmap._blocks((0.0, 1.0, 2.0, 3.0, 4.0), 3)}
    assert blocks["x"] == {0.0: 0.0, 1.0: 0.0, 2.0: 2.0, 3.0: 2.0, 4.0: 4.0}
    # Less is better: 3 of (5, 3); of (4, 1) the 1 is rejected; the last is undefined.
    found = study_heatmap.merged(whole, blocks, -1.0).sort_values("x")
    assert found["x"].tolist() == [0.0, 2.0, 4.0]
    assert found["value"].tolist()[:2] == [3.0, 4.0]
    alone = {"x": study_heatmap._blocks((0.0, 1.0, 2.0, 3.0, 4.0), 5)}
    assert study_heatmap.merged(whole, alone, -1.0) is whole


def test_a_choice_makes_every_other_element_forget_its_mark(database: running.Database) -> None:
    here = looked(database, ONE)
    before = {element: key_of(here, element) for element in ("map", "table")}
    choose("test", 3, "map")
    assert st.session_state["test.cell"] == 3
    assert key_of(here, "map") == before["map"]
    assert key_of(here, "table") != before["table"]


def test_no_more_cells_stand_side_by_side_than_are_told_apart() -> None:
    for cell in (5, 6, 7, 8, 9, 6):
        turn_pin("test", cell)
    assert pinned("test") == [5, 7, 8]  # no room for 9; the second 6 takes it out


def test_a_choice_outlasts_another_label_of_it(database: running.Database) -> None:
    """The browser knows a choice by its label, and after a change of it still sends the old one."""
    here, place = looked(database, TWO), SimpleNamespace(selectbox=lambda *_, **__: None)
    st.session_state["test.metric"] = "cagr"
    for sent, label in (("cagr", "CAGR {}"), ("CAGR cagr", "Growth {}"), ("cagr", "Growth {}")):
        st.session_state["test.metric"] = sent
        option_input(place, here, "metric", "Metric", ["score", "cagr"], format_func=label.format)
        assert st.session_state["test.metric"] == "cagr"
    st.session_state["test.metric"] = None  # as where another study is opened
    option_input(place, here, "metric", "Metric", ["score", "cagr"])
    assert st.session_state["test.metric"] == "score"


@pytest.mark.parametrize("y", ["min_stock_share", None])
def test_pictures_are_made_without_a_network(database: running.Database, y: str | None) -> None:
    here = looked(database, ONE if y is None else TWO)
    shown = Shown("excess_return", "trigger_threshold", y)
    seen = study_heatmap.picture(here, shown)
    marked = study_heatmap._marked(here, shown, seen, counted(here), 1)
    png = study_heatmap._picture_bytes(here, shown, seen, marked, "png")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = (int.from_bytes(png[at : at + 4]) for at in (16, 20))
    assert width > 1_800
    assert height > 1_000
    svg = ElementTree.fromstring(study_heatmap._picture_bytes(here, shown, seen, marked, "svg"))
    texts = {element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")}
    assert study_heatmap.title_text(here, shown) in texts


def test_rejected_cells_do_not_set_the_colours() -> None:
    cells = pd.DataFrame(
        {
            "x": ["1", "2", "3"],
            "y": ["1", "1", "1"],
            "value": [0.01, -0.02, 9.0],
            "label": ["", "", ""],
            "cell_id": [0, 1, 2],
            "kind": ["shown"] * 3,
            "opacity": [1.0, 1.0, study_charts.DIM],
            "best": [True, False, False],
            "default": [False, False, True],
        }
    )
    axes = study_charts.Axis("X", ["1", "2", "3"]), study_charts.Axis("Y", ["1"])
    drawn = study_charts.heatmap(cells, *axes, METRIC["excess_return"], []).to_dict()
    (colour,) = [
        layer["encoding"]["color"]
        for layer in drawn["layer"]
        if "mark" in layer and "color" in layer["encoding"]
    ]
    assert colour["scale"]["domain"] == [-0.02, 0.02]
    assert colour["scale"]["clamp"]
