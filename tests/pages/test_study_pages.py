"""Optimize and Studies over no studies, some, many, and broken records."""

import os
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from volbal.domain.study_states import Step
from volbal.engine.goals import Constraint, Goal
from volbal.engine.grid import Parameter, exact_range
from volbal.engine.metrics import METRIC
from volbal.formatting import metric_text
from volbal.services import running, studies, study_life, study_results, study_runner
from volbal.services.studies import Study
from volbal.services.study_request import StudyRequest
from volbal.ui.fields import parameter_text
from volbal.ui.study_address import EXAMPLE

NOW = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)
SMALL = replace(
    EXAMPLE,
    name="Small",
    parameters=(exact_range("trigger_threshold", "0.02", "0.06", "0.02"),),
    split=False,
)
THRESHOLD, GO = "optimize.trigger_threshold", "optimize.go"


def words(app: AppTest) -> str:
    """All text of the page."""
    shown = [*app.markdown, *app.caption, *app.info, *app.error, *app.warning, *app.success]
    return " ".join(str(element.value) for element in [*shown, *app.subheader])


def known() -> list[Study]:
    return studies.list_studies(running.database())


def states() -> list[str]:
    return [study.state.value for study in known()]


def run(app: AppTest) -> None:
    """Press Run and wait for the end of the study; the page waits by itself only for a second."""
    app.button(key=GO).click().run()
    wait(app)


def wait(app: AppTest) -> None:
    while "running" in states():
        time.sleep(0.02)
    app.run()
    assert not app.exception


def stopped(request: StudyRequest = SMALL, step: Step = Step.CANCEL, error: str = "") -> int:
    """A study that was begun and ended before its first cell."""
    database = running.database()
    study_id = studies.create(database, request, NOW).study_id
    studies.take(database, study_id, Step.START, datetime.now(UTC))
    with database.write() as connection:
        stored = study_life.find(connection, study_id)
        study_life.end(connection, stored, step, NOW, "Ended.", error=error or None)
    return study_id


def broken() -> None:
    Path(os.environ["VOLBAL_DB"]).write_bytes(b"no database" * 1000)


def test_opening_and_reloading_shows_the_example_and_creates_nothing(open_page) -> None:
    app = open_page("optimize")
    assert not app.exception
    assert not app.error
    assert "**110 combinations** = 10 × 11" in words(app)
    assert "trigger threshold 0.01 to 0.1 × rebalance ratio 0.5 to 3" in words(app)
    assert "the last 20 % kept in a vault" in words(app)
    assert "None yet" in words(app)
    assert not app.query_params
    app.run()
    open_page("optimize", {"sweep.trigger_up": "0.01:0.03:0.01"})
    assert known() == []


def test_one_click_runs_the_example_and_the_page_becomes_its(open_page) -> None:
    app = open_page("optimize")
    run(app)
    assert app.query_params == {"study": "1"}
    assert states() == ["completed"]
    (study,) = known()
    assert study.request == EXAMPLE
    assert study.progress.percentage == 100.0
    assert "Not run yet" not in words(app)
    again = open_page("optimize", {"study": "1"})
    assert not again.exception
    assert "completed" in words(again)
    assert len(known()) == 1


def test_the_same_question_from_two_tabs_is_one_study(open_page) -> None:
    tabs = [open_page("optimize"), open_page("optimize")]
    run(tabs[0])
    tabs[1].button(key=GO).click().run()
    assert len(known()) == 1
    assert tabs[1].query_params == {"study": "1"}
    assert "was asked exactly this before" in words(tabs[1])


def test_other_ranges_are_not_run_yet_and_run_as_another_study(open_page) -> None:
    app = open_page("optimize", {"study": str(stopped())})
    app.number_input(key=f"{THRESHOLD}.high").set_value(0.08).run()
    assert "Not run yet" in words(app)
    assert "**4 combinations**" in words(app)
    reloaded = open_page("optimize", dict(app.query_params))
    assert "**4 combinations**" in words(reloaded)
    run(app)
    assert app.query_params == {"study": "2"}
    assert states() == ["completed", "cancelled"]
    assert "Not run yet" not in words(app)


def test_goals_and_constraints_only_rank_and_stand_in_the_link(open_page) -> None:
    app = open_page("optimize", {"study": str(stopped())})
    app.multiselect(key="optimize.goals").set_value(["excess_return", "volatility"]).run()
    app.number_input(key="optimize.volatility.weight").set_value(2.0).run()
    assert "Not run yet" not in words(app)
    assert app.query_params["goal.volatility"] == "2"
    assert len(known()) == 1


def test_a_draft_is_saved_changed_and_run(open_page) -> None:
    app = open_page("optimize")
    app.button(key="optimize.save").click().run()
    assert states() == ["draft"]
    assert list(table(open_page("studies"))["cells"]) == [110]
    assert app.query_params == {"study": "1"}
    assert app.button(key="optimize.save").disabled
    app.number_input(key=f"{THRESHOLD}.high").set_value(0.03).run()
    app.number_input(key=f"{THRESHOLD}.high").set_value(0.02)  # and saved before it is drawn
    app.button(key="optimize.save").click().run()
    assert known()[0].request.combinations == 22
    assert app.query_params == {"study": "1"}
    run(app)
    assert states() == ["completed"]
    assert not app.exception


def test_a_draft_that_has_become_something_else_is_not_taken_for_the_same(open_page) -> None:
    app = open_page("optimize")
    app.button(key="optimize.save").click().run()
    app.number_input(key=f"{THRESHOLD}.high").set_value(0.02).run()
    app.button(key="optimize.save").click().run()
    other = open_page("optimize")
    other.button(key="optimize.save").click().run()
    assert [study.request.combinations for study in known()] == [110, 22]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda app: app.number_input(key=f"{THRESHOLD}.step").set_value(0.0), "holds no value"),
        (lambda app: app.number_input(key=f"{THRESHOLD}.step").set_value(None), "step is missing"),
        (lambda app: app.multiselect(key="optimize.sweep").set_value([]), "none given"),
        (
            lambda app: app.multiselect(key="optimize.sweep").set_value(
                ["trigger_threshold", "trigger_up"]
            ),
            "trigger\\_up is swept twice",
        ),
        (lambda app: app.multiselect(key="optimize.goals").set_value([]), "at least one metric"),
        (
            lambda app: app.number_input(key="optimize.excess_return.weight").set_value(0.0),
            "all weights are 0",
        ),
        (lambda app: app.multiselect(key="optimize.symbols").set_value([]), "at least one symbol"),
        (
            lambda app: app.date_input(key="optimize.start").set_value(EXAMPLE.setup.end),
            "holds only 1 bar",
        ),
        (
            lambda app: app.number_input(key="optimize.capital").set_value(-1.0),
            "-1 is out of range",
        ),
        (lambda app: app.number_input(key="optimize.seed").set_value(-1), "-1 is out of range"),
        (lambda app: app.number_input(key="optimize.pay_lag_days").set_value(-5), "-5 is negative"),
        (
            lambda app: app.number_input(key="optimize.min_stock_share").set_value(0.8),
            "0.8 is not below",
        ),
    ],
)
def test_what_cannot_be_run_is_said_beside_its_input_and_run_waits(
    open_page, change, said: str
) -> None:
    app = open_page("optimize")
    change(app).run()
    assert not app.exception
    beside = " ".join(text.value for text in app.sidebar.markdown)
    assert said in beside
    assert app.button(key=GO).disabled
    assert "110 combinations" not in words(app)


def test_a_grid_without_a_valid_cell_is_refused_beside_its_parameters(open_page) -> None:
    app = open_page("optimize", {"sweep.min_stock_share": "0.8,0.9"})
    beside = " ".join(text.value for text in app.sidebar.markdown)
    assert "all 2 combinations break a bound" in beside
    assert app.button(key=GO).disabled


def test_invalid_cells_samples_and_symbols_are_counted_while_typing(open_page) -> None:
    app = open_page(
        "optimize",
        {"sweep.min_stock_share": "0.2:0.6:0.2", "sweep.max_stock_share": "0.4:0.8:0.2"},
    )
    # Of 3 × 3 pairs 0.4 ≥ 0.4, 0.6 ≥ 0.4 and 0.6 ≥ 0.6 are no guardrails.
    assert (
        "**9 combinations** = 3 × 3 · 6 valid, 3 invalid: min stock share is not below max stock "
        "share"
    ) in words(app)
    app.multiselect(key="optimize.symbols").set_value(["AAPL", "KO"]).run()
    assert "2013-01-02 to 2014-12-31" in words(app)  # KO's prices end there
    assert "2 symbols: 18 cells · 12 valid, 6 invalid" in words(app)
    # The search part: 302 of the 503 sessions of two years.
    assert "Only 1.2 years: the search part is 2013-01-02 to 2014-03-1" in words(app)
    app.number_input(key="optimize.max_cells").set_value(4).run()
    assert "a Sobol sample of 4 of them, seed 0" in words(app)


def test_a_short_symbol_moves_the_dates_only_while_it_is_chosen(open_page) -> None:
    app = open_page("optimize")
    app.multiselect(key="optimize.symbols").set_value(["AAPL", "KO"]).run()
    moved = f"End {EXAMPLE.setup.end} is moved to 2014-12-31 for KO, and back without it"
    assert moved in words(app)
    app.multiselect(key="optimize.symbols").set_value(["AAPL"]).run()
    assert app.date_input(key="optimize.end").value == EXAMPLE.setup.end
    assert "is moved" not in words(app)
    app.date_input(key="optimize.end").set_value(date(2016, 3, 31)).run()
    app.multiselect(key="optimize.symbols").set_value(["AAPL", "KO"]).run()
    app.multiselect(key="optimize.symbols").set_value(["AAPL"]).run()
    assert app.date_input(key="optimize.end").value == date(2016, 3, 31)


def test_a_study_of_many_parameters_and_exact_values_opens_as_it_is(open_page) -> None:
    names = ("trigger_up", "trigger_down", "min_stock_share", "cash_rate", "slippage")
    others = ("commission_rate", "commission_min", "min_notional")
    wide = replace(
        SMALL,
        parameters=(
            *(Parameter(name, (0.0123456789012, 0.3333333333333333)) for name in names),
            *(exact_range(name, "0.0123456789012", "0.0323456789012", "0.01") for name in others),
            exact_range("rebalance_ratio", "0.00000123", "0.00000323", "0.000001"),
        ),
    )
    app = open_page("optimize", {"study": str(stopped(wide))})
    assert not app.exception
    assert "Not run yet" not in words(app)
    assert "2 values: 0.0123456789012, 0.3333333333333333" in words(app)


def test_a_goal_without_a_direction_of_its_own_waits_for_one(open_page) -> None:
    app = open_page("optimize")
    app.multiselect(key="optimize.goals").set_value(["fill_count"]).run()
    beside = " ".join(text.value for text in app.sidebar.markdown)
    assert "Fills has no direction of its own; choose" in beside
    assert app.button(key=GO).disabled
    app.button_group(key="optimize.fill_count.direction").set_value("down").run()
    assert "ranked by fills ↓" in words(app)
    assert not app.button(key=GO).disabled


def test_a_constraint_waits_for_its_number(open_page) -> None:
    app = open_page("optimize")
    app.button(key="optimize.add").click().run()
    assert "Applies once its number is typed" in words(app)
    app.number_input(key="optimize.constraint-0.low").set_value(5.0).run()
    assert "No cell can meet this: maximum drawdown is from -1 to 0." in words(app)
    app.number_input(key="optimize.constraint-0.low").set_value(-0.3).run()
    app.button(key=GO).click().run()
    assert known()[0].request.constraints == (Constraint("max_drawdown", "min_value", -0.3),)


def test_a_stopped_study_says_why_and_is_resumed(open_page) -> None:
    study_id = stopped(step=Step.FAIL, error="A cell could not be simulated: 3 of them.")
    app = open_page("optimize", {"study": str(study_id)})
    assert "A cell could not be simulated" in words(app)
    assert "0 of 3 cells are stored" in words(app)
    app.button(key=f"resume-{study_id}").click().run()
    assert not app.exception
    wait(app)
    assert states() == ["completed"]
    assert "A cell could not" not in words(app)


def test_a_waiting_study_is_cancelled_from_its_page(open_page) -> None:
    database = running.database()
    study_id = studies.create(database, SMALL, NOW).study_id
    studies.take(database, study_id, Step.START, datetime.now(UTC))  # nobody works on it
    app = open_page("optimize", {"study": str(study_id)})
    later = studies.create(database, replace(SMALL, name="Later"), NOW).study_id
    studies.take(database, later, Step.START, datetime.now(UTC))
    assert list(table(open_page("studies"))["state"]) == ["waiting, 1 ahead", "running"]
    assert "waiting, 1 ahead" in words(open_page("optimize", {"study": str(later)}))
    studies.cancel(database, later, NOW)
    app.button(key=f"cancel-{study_id}").click().run()
    assert not app.exception
    assert states() == ["cancelled", "cancelled"]
    assert "Resuming goes on from there" in words(app)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"study": "7"}, "There is no study 7"),
        ({"study": "best"}, "no study has this number"),
        ({"study": "9" * 50}, "no study has this number"),
        ({"study": "²"}, "no study has this number"),
        ({"symbols": "TSLA"}, "no prices for it here"),
        ({"goal.luck": "1"}, "'luck' is unknown"),
    ],
)
def test_a_link_that_cannot_be_used_is_explained_beside_the_example(
    open_page, query: dict[str, str], said: str
) -> None:
    app = open_page("optimize", query)
    assert not app.exception
    assert said in words(app)
    assert "**110 combinations**" in words(app)
    assert known() == []


@pytest.mark.parametrize("page", ["optimize", "studies"])
def test_a_page_over_broken_records_says_so_and_leaves_the_file(open_page, page: str) -> None:
    broken()
    app = open_page(page)
    assert not app.exception
    assert "cannot be opened" in words(app)
    assert Path(os.environ["VOLBAL_DB"]).read_bytes() == b"no database" * 1000
    simulated = open_page("simulate")
    assert not simulated.error


def finished(request: StudyRequest = SMALL) -> Study:
    """A study that has run."""
    database = running.database()
    study_id = studies.create(database, request, NOW).study_id
    studies.take(database, study_id, Step.START, datetime.now(UTC))
    study_runner.work(database, study_id)
    return studies.get(database, study_id)


def button(app: AppTest, label: str) -> Button:
    return next(one for one in app.button if one.label == label)


def table(app: AppTest) -> pd.DataFrame:
    frame: pd.DataFrame = app.dataframe[0].value
    return frame


def test_without_studies_the_list_leads_to_the_example(open_page) -> None:
    app = open_page("studies")
    assert not app.exception
    assert not app.error
    assert "No studies yet" in words(app)
    assert app.get("page_link")


def test_the_list_shows_where_every_study_stands_and_what_it_found(open_page) -> None:
    ran, halted = finished(), stopped(replace(SMALL, name="Halted"))
    app = open_page("studies")
    assert not app.exception
    found = table(app).set_index("study")
    assert list(found.index) == [halted, ran.study_id]
    assert list(found["state"]) == ["cancelled", "completed"]
    assert list(found["progress"]) == [0.0, 1.0]
    database = running.database()
    best = study_results.counts(database, ran.study_id).best
    assert best is not None
    cell = study_results.cell(database, ran.study_id, best)
    value = metric_text(METRIC["excess_return"], cell.metrics["excess_return"])
    assert found["best"][ran.study_id] == value
    assert found["goal"][ran.study_id] == METRIC["excess_return"].label
    assert found["at"][ran.study_id] == parameter_text(dict(cell.parameters))


def test_a_long_list_has_pages_and_the_link_names_the_chosen(open_page) -> None:
    database = running.database()
    with database.lease():
        for number in range(60):
            studies.create(database, replace(SMALL, name=f"No. {number}"), NOW)
    app = open_page("studies", {"ids": "2"})
    assert not app.exception
    assert list(table(app)["study"]) == list(range(60, 40, -1))
    assert "2 · No\\. 1" in words(app) or "2 · No. 1" in words(app)
    optimize = open_page("optimize")
    assert "60 · No. 59" in " ".join(link.proto.label for link in optimize.get("page_link"))
    assert len(optimize.get("page_link")) == 9  # eight of them, and the way to all


def test_a_study_is_copied_run_again_and_deleted_once_confirmed(open_page) -> None:
    first = finished().study_id
    app = open_page("studies", {"ids": str(first)})
    button(app, "Duplicate").click().run()
    assert states() == ["draft", "completed"]
    assert app.query_params["ids"] == "2"
    assert known()[0].request == known()[1].request
    app.query_params["ids"] = str(first)
    app.run()
    button(app, "Run again").click().run()
    assert not app.exception
    assert len(known()) == 3
    assert app.query_params["ids"] == "3"
    app.query_params["ids"] = "2"
    app.run()
    app.button(key="studies-delete").click().run()
    assert len(known()) == 3
    button(app, "Delete for good").click().run()
    assert not app.exception
    assert {study.study_id for study in known()} == {1, 3}
    assert "ids" not in app.query_params


def test_notes_are_kept_with_a_study(open_page) -> None:
    study_id = stopped()
    app = open_page("studies", {"ids": str(study_id)})
    app.text_area(key=f"studies-words-{study_id}-note").set_value("Good *plateau*").run()
    assert not app.success  # nothing moves from under the pointer
    app.button(key=f"studies-words-{study_id}-save").click().run()
    assert "are saved" in app.success[0].value
    assert known()[0].note == "Good *plateau*"
    assert button(app, "Save")
    assert list(table(app)["note"]) == ["Good *plateau*"]


def test_a_study_is_renamed_in_whatever_state_it_is(open_page) -> None:
    study_id = finished(replace(SMALL, name="Small *1*")).study_id
    app = open_page("studies", {"ids": str(study_id)})
    name = app.text_input(key=f"studies-words-{study_id}-name")
    assert name.value == "Small *1*"
    name.set_value("Wide").run()
    button(app, "Save").click().run()
    assert not app.exception
    assert list(table(app)["name"]) == ["Wide"]
    sentences = [event.sentence for event in known()[0].history]
    assert sentences.count("Renamed: Small *1* is now Wide.") == 1
    assert states() == ["completed"]
    name.set_value("  ").run()
    assert "allowed: 1 to 200" in words(app)
    assert known()[0].request.name == "Wide"


def test_two_studies_stand_side_by_side_with_what_they_ask_differently(open_page) -> None:
    finished(), finished(replace(SMALL, goals=(Goal("cagr"),), split=True))
    app = open_page("studies", {"ids": "1,2"})
    assert not app.exception
    found = study_results.compare(running.database(), (1, 2))
    assert not found.settings.empty
    cells = app.dataframe[2].value.set_index("Figure")
    for column, (_, row) in zip(cells.columns, found.cells.iterrows(), strict=True):
        assert column.startswith(f"{row['study_id']} · ")
        assert cells[column][METRIC["cagr"].label] == metric_text(METRIC["cagr"], row["cagr"])


@pytest.mark.parametrize("cell", ["5000", "9" * 50])
def test_a_cell_that_does_not_exist_falls_back_to_the_best(open_page, cell: str) -> None:
    study_id = finished().study_id
    app = open_page("optimize", {"study": str(study_id), "cell": cell})
    assert not app.exception
    assert "Best cell" in words(app)
