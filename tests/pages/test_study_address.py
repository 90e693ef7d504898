"""A study in the URL: what is written is read back, and what cannot be read is named."""

from dataclasses import replace
from datetime import date

import pytest

from volbal.domain.policy import PRESETS
from volbal.engine.goals import Constraint, Goal
from volbal.engine.grid import Parameter, exact_range
from volbal.services.research import Setup
from volbal.services.study_request import StudyRequest
from volbal.ui.study_address import EXAMPLE, parsed_parameter, read, state_of, write

KNOWN = ("AAPL", "KO")
RICH = StudyRequest(
    name="Wide",
    symbols=("KO", "AAPL"),
    parameters=(
        exact_range("rebalance_ratio", "1.0", "3.0", "0.1"),
        Parameter("trigger_threshold", (0.01, 0.02, 0.05)),
        Parameter("auto_rebalance", (True, False)),
        Parameter("ticks", ("close", "limit")),
    ),
    goals=(Goal("cagr", 2.0), Goal("volatility", 0.5, "up"), Goal("fill_count", 1.0, "down")),
    constraints=(
        Constraint("max_drawdown", "min_value", -0.3),
        Constraint("avg_stock_share", "in_range", (0.2, 0.8)),
    ),
    setup=Setup(date(2015, 1, 2), None, 20_000.0, 0.4, "limit", 30),
    policy=PRESETS["aggressive"],
    max_cells=500,
    seed=7,
    split=False,
)


def view_parts() -> set[str]:
    return {"metric", "x", "y", "of", "cell", "cells", "panel"}


@pytest.mark.parametrize("request_", [EXAMPLE, RICH, replace(RICH, constraints=())])
def test_a_draft_comes_back_from_its_own_link(request_: StudyRequest) -> None:
    state, problems = read(write(request_, None, None), EXAMPLE, KNOWN)
    assert problems == []
    form = {name: value for name, value in state.items() if name not in view_parts()}
    wanted = state_of(request_)
    assert {name: form[name] for name in wanted} == wanted


def test_the_example_needs_no_query() -> None:
    assert write(EXAMPLE, None, None) == {}
    assert write(replace(EXAMPLE, name="Mine"), None, None)["name"] == ["Mine"]


def test_a_stored_study_needs_only_its_number_until_its_ranking_differs() -> None:
    assert write(RICH, RICH, 4) == {"study": ["4"]}
    reranked = replace(RICH, goals=(Goal("cagr"),), constraints=())
    query = write(reranked, RICH, 4)
    assert query == {"study": ["4"], "goal.cagr": ["1"], "constraint": [""]}
    state, problems = read(query, RICH, KNOWN)
    assert problems == []
    assert state["goals"] == ["cagr"]
    assert state["constraints"] == []
    assert state["sweep"] == [one.name for one in RICH.parameters]


def test_a_range_from_one_to_three_by_a_tenth_has_21_values() -> None:
    values = parsed_parameter("rebalance_ratio", "1.0:3.0:0.1").values
    assert len(values) == 21
    assert values[-1] == 3.0


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("sweep.foo", "1:2:1", "'foo' cannot be swept"),
        ("sweep.trigger_up", "0.1:0.01", "write min:max:step"),
        ("sweep.trigger_up", "banana", "are not all numbers"),
        ("sweep.sizing", "huge", "use proportional, fixed_percentage, original"),
        ("symbols", "TSLA", "no prices for it here (TSLA)"),
        ("start", "soon", "write YYYY-MM-DD"),
        ("goal.luck", "1", "'luck' is unknown"),
        ("goal.cagr", "1:sideways", "WEIGHT:down"),
        ("constraint", "cagr:above:1", "'above' is unknown"),
        ("constraint", "cagr:min_value", "write METRIC:KIND:NUMBER"),
        ("metric", "luck", "unknown"),
        ("x", "slippage", "is not swept"),
        ("cell", "best", "not a whole number"),
        ("cells", "3,best", "not a whole number. None is taken for the comparison"),
        ("cells", "1,2,3,4,5", "5 cells, side by side stand up to 4"),
    ],
)
def test_a_part_that_cannot_be_used_is_named_and_the_rest_is(
    name: str, text: str, said: str
) -> None:
    state, problems = read({name: [text]}, EXAMPLE, KNOWN)
    assert len(problems) == 1
    assert said in problems[0]
    assert state["symbols"] == ["AAPL"]
    assert state["sweep"] == ["trigger_threshold", "rebalance_ratio"]
