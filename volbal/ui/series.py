"""Series of prices on screen: what there is of them, how they look, what is odd, how to fetch."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from volbal.domain.wording import age, few
from volbal.errors import VolbalError
from volbal.market.inspection import Finding, findings
from volbal.market.model import DAILY, PriceHistory
from volbal.services import market_data, running
from volbal.services.market_data import Coverage
from volbal.services.running import Database
from volbal.ui import acting, charts, tables

PAGE = "data"
MOST_ROWS = 500
"""Bars in the table of a series; the download has all."""

COLUMNS = {
    "symbol": st.column_config.TextColumn("Symbol", pinned=True),
    "interval": "Interval",
    "source": "Source",
    "freshness": "Freshness",
    "first": st.column_config.DateColumn("First"),
    "last": st.column_config.DateColumn("Last"),
    "bars": st.column_config.NumberColumn("Bars", format="localized"),
    "missing": st.column_config.NumberColumn(
        "Missing", help="Sessions of the exchange between first and last without a bar."
    ),
    "dividends": "Dividends",
    "splits": "Splits",
    "prices": st.column_config.TextColumn(
        "Prices", help="Simulations of limit orders need open, high and low."
    ),
    "checked": st.column_config.DatetimeColumn(
        "Last fetched, UTC", format="YYYY-MM-DD HH:mm", help="Or imported from a file."
    ),
}

DIVIDEND_COLUMNS = {
    "ex_date": st.column_config.DateColumn("Ex-date"),
    "amount": st.column_config.NumberColumn("Per share", format="%.6g"),
    "pay_date": st.column_config.DateColumn(
        "Paid on", help="Empty where no source says; simulations then assume a delay."
    ),
}
SPLIT_COLUMNS = {
    "date": st.column_config.DateColumn("Date"),
    "ratio": st.column_config.NumberColumn("New shares per old", format="%.6g"),
}


@st.cache_data(max_entries=2, show_spinner=False)
def covered(path: str, commits: int) -> list[Coverage]:
    """Every series, read again only after a write."""
    return market_data.coverage(running.database())


@st.cache_resource(max_entries=16, show_spinner=False)
def looked_into(
    symbol: str, interval: str, revision: int, path: str
) -> tuple[PriceHistory, list[Finding]]:
    """A series and what is odd about it, read again only where it has changed."""
    history = market_data.history(running.database(), symbol, interval)
    return history, findings(history)


def table(found: Sequence[Coverage], now: datetime) -> pd.DataFrame:
    """One row per series, for people."""
    return pd.DataFrame(
        {
            "symbol": [one.symbol for one in found],
            "interval": [one.interval for one in found],
            "source": [one.source for one in found],
            "freshness": [freshness(one, now) for one in found],
            "first": [one.first_date for one in found],
            "last": [one.last_date for one in found],
            "bars": [one.bars for one in found],
            "missing": [len(one.gaps) for one in found],
            "dividends": [one.dividends for one in found],
            "splits": [one.splits for one in found],
            "prices": ["all four" if one.has_ohlc else "closes only" for one in found],
            "checked": [one.fetched_at and one.fetched_at.replace(tzinfo=None) for one in found],
        }
    )


def show_all(found: Sequence[Coverage]) -> None:
    """The table of every series."""
    frame = table(found, acting.now())
    tables.show(
        frame,
        f"{PAGE}-series",
        COLUMNS,
        alt="Every series of prices: its source, range and freshness",
        name="price-series",
        height=tables.fitting(frame),
    )


def freshness(one: Coverage, now: datetime) -> str:
    """How far a series is behind, in a few words."""
    behind = one.behind(now)
    if behind is None:
        return f"{age(one.ends_at, now)} old"
    if not behind:
        return "up to date"
    return f"{behind:,} {'session' if behind == 1 else 'sessions'} behind"


def exchange_text(one: Coverage, now: datetime) -> str:
    """Whether the exchange of a series trades now; empty where that is not known."""
    calendar = one.calendar
    if calendar is None or not calendar.knows(calendar.date_of(now)):
        return ""
    today = calendar.date_of(now)
    if calendar.is_open(now):
        early = ", an early close" if calendar.closes_early(today) else ""
        return f"the exchange is open until {calendar.hours(today)[1]:%H:%M}{early}"
    ahead = calendar.is_session(today) and now < calendar.hours(today)[0]
    following = today if ahead else calendar.next_session(today)
    return f"the exchange is closed, next session {following}"


def fetch(database: Database, wanted: Sequence[tuple[str, str]]) -> bool:
    """Fetch series, each a symbol and an interval, one by one, showing how far it is.

    What came of each is said. Returns whether any was fetched. Ends at the first where Yahoo
    cannot be asked.
    """
    from volbal.market.yahoo import Offline, RateLimited

    acting.forget_said()
    bar, told = st.progress(0.0), []
    for done, (name, interval) in enumerate(wanted):
        asking = f"Asking Yahoo for {name} {interval}, {done + 1} of {len(wanted)}"
        bar.progress(done / len(wanted), asking)
        try:
            got = market_data.refresh(database, market_data.yahoo(), name, interval, acting.now())
        except (Offline, RateLimited) as error:
            acting.say("error", f"{error} {_still_used(database, wanted[done:])}")
            break
        except VolbalError as error:
            acting.say("error", str(error))
        else:
            odd = few(got.findings, "more, to be seen under Checks.")
            told += [got.sentence, *(f"Odd and left as it is: {one}" for one in odd)]
    if told:
        acting.say("success", told[0] if len(told) == 1 else "\n".join(f"- {one}" for one in told))
    bar.empty()
    return bool(told)


def _still_used(database: Database, unasked: Sequence[tuple[str, str]]) -> str:
    """What goes on being used of series that could not be fetched, by interval."""
    names: dict[str, list[str]] = {}
    for name, interval in unasked:
        names.setdefault(interval, []).append(name)
    return " ".join(
        market_data.fallback(database, of_one, interval, acting.now())
        for interval, of_one in names.items()
    )


def draw(history: PriceHistory, odd: Sequence[Finding], key: str) -> None:
    """Chart, rows and checks of one series."""
    with st.container(border=True):
        _draw_chart(history, key)
    name = f"{history.symbol}-{history.provenance.interval}"
    bars, dividends, splits, checks = st.tabs(
        [
            f"Bars ({len(history.bars):,})",
            f"Dividends ({len(history.dividends):,})",
            f"Splits ({len(history.splits):,})",
            f"Checks ({len(odd):,})",
        ]
    )
    with bars:
        _show_bars(history, f"{key}-bars", name)
    with dividends:
        _show_dividends(history, f"{key}-dividends", name)
    with splits:
        _show_splits(history, f"{key}-splits", name)
    with checks:
        show_findings(history, odd, f"{key}-checks", name)


def _draw_chart(history: PriceHistory, key: str) -> None:
    logarithmic = st.toggle(
        "Log scale",
        key=f"{key}-log",
        help="Equal growth is an equal distance. Example: 10 to 20 looks like 20 to 40.",
    )
    option, tall = charts.price_chart(history, logarithmic=logarithmic)
    volume = "; volume below" if len(option["grid"]) > 1 else ""
    st.echarts_chart(
        option,
        height=tall,
        key=key,
        alt=f"Closes of {history.symbol} from {history.first_date} to {history.last_date} with "
        f"{len(history.dividends)} dividends and {len(history.splits)} splits{volume}.",
    )


def _show_bars(history: PriceHistory, key: str, name: str) -> None:
    bars = history.bars.reset_index()
    if len(bars) > MOST_ROWS:
        st.caption(f"The newest {MOST_ROWS} of {len(bars):,}; a download has all.")
    newest = bars.iloc[::-1].head(MOST_ROWS).dropna(axis="columns", how="all")
    fitting = tables.fitting(newest)
    tables.show(newest, key, bar_columns(history), alt=f"Bars of {name}", height=fitting)
    tables.downloads(bars, f"{name}-bars", f"{key}-downloads")


def bar_columns(history: PriceHistory) -> dict[str, Any]:
    """How the columns of bars are titled and written."""
    daily = history.provenance.interval == DAILY
    times = st.column_config.DateColumn if daily else st.column_config.DatetimeColumn
    prices = {
        column: st.column_config.NumberColumn(column.title(), format="%.4f")
        for column in ("open", "high", "low", "close")
    }
    volume = st.column_config.NumberColumn("Volume", format="localized")
    return {"time": times("Date" if daily else "Time at the exchange"), **prices, "volume": volume}


def _show_dividends(history: PriceHistory, key: str, name: str) -> None:
    if history.dividends.empty:
        st.caption("None in these prices.")
        return
    newest = history.dividends.iloc[::-1]
    fitting = tables.fitting(newest)
    tables.show(newest, key, DIVIDEND_COLUMNS, alt=f"Dividends of {name}", height=fitting)
    tables.downloads(history.dividends, f"{name}-dividends", f"{key}-downloads")


def _show_splits(history: PriceHistory, key: str, name: str) -> None:
    if history.splits.empty:
        st.caption("None in these prices.")
        return
    newest = history.splits.iloc[::-1]
    tables.show(newest, key, SPLIT_COLUMNS, alt=f"Splits of {name}", name=f"{name}-splits")


def show_findings(history: PriceHistory, odd: Sequence[Finding], key: str, name: str) -> None:
    """The validation report: what the prices passed, what is odd about them."""
    st.markdown(
        "Every bar has a close above 0 inside its high and low, dates rise, and no split shows as "
        "a jump: prices that fail this are never stored."
    )
    for note in history.notes:
        st.caption(f":material/info: {note[:1].upper()}{note[1:]}.")
    if not odd:
        st.success("Nothing odd was found.", icon=":material/check_circle:")
        return
    frame = pd.DataFrame(
        {"date": [one.on for one in odd], "finding": [one.sentence for one in odd]}
    )
    if len(odd) <= tables.MANY:  # as text: a narrow screen cuts the cells of a table off
        st.markdown("Odd, and left as it is:\n" + "\n".join(f"- {one.sentence}" for one in odd))
        tables.downloads(frame, f"{name}-checks", f"{key}-downloads")
        return
    config = {
        "date": st.column_config.DateColumn("Date", width="small"),
        "finding": st.column_config.TextColumn("Odd, and left as it is", width="large"),
    }
    alt, file = f"What is odd about {name}", f"{name}-checks"
    tables.show(frame, key, config, alt=alt, name=file, height=tables.fitting(frame))
