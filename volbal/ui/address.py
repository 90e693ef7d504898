"""What a page is asked, and how it stands in the URL: links, reload and back keep it.

The URL is read when it is not the one this page wrote last (a link, a reload, back), and written
whenever the inputs differ from it. The example that an empty page shows needs no query at all.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any

import streamlit as st

from volbal.domain.policy import BOOLEANS, PRESETS, SHORTHANDS, SIZINGS, Policy
from volbal.engine.paths import TICK_MODELS
from volbal.errors import VolbalError
from volbal.formatting import value_text
from volbal.market.model import PriceSource
from volbal.services.research import Setup
from volbal.ui.fields import POLICY, preset_of

Query = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Question:
    """What a simulation is about. Hashable, so that results can be kept by it."""

    symbol: str
    policy: Policy
    setup: Setup


EXAMPLE = Question("AAPL", Policy(), Setup(start=date(2013, 1, 2), end=date(2023, 9, 21)))
"""What a page shows before anything is entered, where the bundled prices are the newest."""


def arrival(page: str) -> Query | None:
    """The query to take the inputs from; None where the inputs on screen are newer.

    A page that is come back to without a query takes up what it last showed. An input that was
    just touched is newer than any query: a quick second touch still carries the old one.
    """
    state = st.session_state
    key = f"{page}.query"
    here, known = _current(), state.get(key)
    stayed, touched = state.get("page") == page, _touched(page)
    state["page"] = page
    if stayed and (here == known or touched):
        return None
    state[key] = here
    return here if here or stayed or known is None else known


def publish(page: str, query: Query) -> None:
    """Put the inputs into the URL."""
    st.session_state[f"{page}.query"] = query
    st.session_state[f"{page}.seen"] = _inputs(page)
    if query != _current():
        st.query_params.from_dict(query)


def _touched(page: str) -> bool:
    """Has an input of the page changed since its last run?"""
    seen, now = st.session_state.get(f"{page}.seen", {}), _inputs(page)
    st.session_state[f"{page}.seen"] = now
    # A button is True in the run it starts and False again after it.
    return any(
        value != seen[name] and value is not False for name, value in now.items() if name in seen
    )


def _inputs(page: str) -> dict[str, Any]:
    own = (f"{page}.query", f"{page}.seen")
    return {
        str(name): value
        for name, value in st.session_state.items()
        if str(name).startswith(f"{page}.") and name not in own
    }


def _current() -> Query:
    return {name: st.query_params.get_all(name) for name in st.query_params}


def read_question(query: Query, source: PriceSource) -> tuple[dict[str, Any], list[str]]:
    """Input values by name, and a sentence for every part of the query that cannot be used.

    A part that cannot be used, or is missing, is the example's. Bounds are not checked here:
    a number out of range belongs in its input, beside the sentence that refuses it.
    """
    reader = _Reader(query)
    symbol = reader.value("symbol", EXAMPLE.symbol, _known_symbol(source))
    history = source.history(symbol)
    first, last = history.first_date, history.last_date
    session = _date_within(first, last)
    preset = reader.value("preset", "standard", _one_of(PRESETS))
    values: dict[str, Any] = {
        "symbol": symbol,
        "start": reader.value("start", _example_start(first, last), session),
        "end": reader.value("end", last, session),
        "capital": reader.value("capital", EXAMPLE.setup.capital, _number),
        "stock_share": reader.value("stock_share", EXAMPLE.setup.stock_share, _number),
        "ticks": reader.value("ticks", EXAMPLE.setup.ticks, _one_of(TICK_MODELS)),
    }
    policy = policy_values(PRESETS[preset])
    for name, targets in SHORTHANDS.items():
        policy |= {field: reader.value(name, policy[field], _number) for field in targets}
    for name in POLICY:
        values[name] = reader.value(name, policy[name], _PARSERS.get(name, _number))
    return values, reader.problems


def write_question(question: Question, source: PriceSource) -> Query:
    """The query that brings a page back to `question`; empty for the example up to now."""
    newest = source.history(EXAMPLE.symbol).last_date
    if question == replace(EXAMPLE, setup=replace(EXAMPLE.setup, end=newest)):
        return {}
    setup, policy = question.setup, question.policy
    texts = {"symbol": question.symbol, "start": str(setup.start), "end": str(setup.end)}
    if setup.ticks != EXAMPLE.setup.ticks:
        texts["ticks"] = setup.ticks
    for name in ("capital", "stock_share"):
        if getattr(setup, name) != getattr(EXAMPLE.setup, name):
            texts[name] = value_text(getattr(setup, name))
    preset = preset_of(policy)
    if preset:
        texts |= {"preset": preset} if preset != "standard" else {}
    else:
        standard = policy_values(Policy())
        changed = {n: v for n, v in policy_values(policy).items() if v != standard[n]}
        texts |= {name: value_text(value) for name, value in changed.items()}
    return {name: [text] for name, text in texts.items()}


def policy_values(policy: Policy) -> dict[str, Any]:
    """The fields of a policy that a simulation reads, by name."""
    return {f.name: getattr(policy, f.name) for f in fields(policy) if f.name in POLICY}


def _example_start(first: date, last: date) -> date:
    """The example's start, where prices from `first` to `last` have it."""
    wanted = EXAMPLE.setup.start or first
    return wanted if first <= wanted < last else first


class _Reader:
    """Takes values out of a query and remembers what could not be used."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.problems: list[str] = []

    def value(self, name: str, default: Any, parse: Callable[[str], Any]) -> Any:
        texts = self.query.get(name)
        if not texts:
            return default
        try:
            return parse(texts[-1])
        except (ValueError, VolbalError) as error:
            sentence = (
                f"The link's {name} is {texts[-1]!r}: {error}; {_default_text(default)} is used."
            )
            if sentence not in self.problems:
                self.problems.append(sentence)
            return default


def _default_text(default: Any) -> str:
    return value_text(default) if isinstance(default, bool | int | float) else str(default)


def _known_symbol(source: PriceSource) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.strip().upper() not in source.symbols():
            raise ValueError(f"no prices for it here, choose one of {', '.join(source.symbols())}")
        return text.strip().upper()

    return parse


def _date_within(first: date, last: date) -> Callable[[str], date]:
    def parse(text: str) -> date:
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise ValueError("not a date, write YYYY-MM-DD") from None
        if not first <= day <= last:
            raise ValueError(f"outside the prices, which reach from {first} to {last}")
        return day

    return parse


def _one_of(options: Mapping[str, Any] | Sequence[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in options:
            raise ValueError(f"choose one of {', '.join(options)}")
        return text

    return parse


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("not a number") from None
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def _whole(text: str) -> int:
    number = _number(text)
    if number != int(number):
        raise ValueError("not a whole number")
    return int(number)


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("write true or false")
    return text == "true"


_PARSERS: dict[str, Callable[[str], Any]] = {
    "sizing": _one_of(SIZINGS),
    "max_orders_per_day": _whole,
    **dict.fromkeys(BOOLEANS, _boolean),
}
