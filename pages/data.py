"""Data: the prices that everything computes with, how far they reach and where they come from."""

from collections.abc import Sequence

import streamlit as st

from volbal.market.model import as_symbol
from volbal.market.yahoo import REACH
from volbal.services import market_data, running
from volbal.services.market_data import Coverage
from volbal.ui import acting, bringing, log, prices, series

PAGE = "data"
SYMBOL, INTERVAL, WANTED = "symbol", "interval", f"{PAGE}.wanted"


def fetch_inputs(database: running.Database) -> None:
    """Fetch one symbol, known or new, or all that were fetched before."""
    form = st.form(f"{PAGE}.fetch", border=False)
    with form.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.text_input(
            "Symbol to fetch",
            key=WANTED,
            placeholder="such as KO, BRK-B or SAP.DE",
            help="As Yahoo spells it; it need not be in the list yet. Example: KO.",
            width=230,
        )
        interval = st.selectbox(
            "Interval",
            list(REACH),
            help="Spacing of the bars. Yahoo has daily ones of all times, 1h of two years, "
            "5m to 30m of 60 days, 1m of 30 days. Example: 1d.",
            width=110,
        )
        one = st.form_submit_button("Fetch", icon=":material/download:", type="primary")
        every = st.form_submit_button(
            "Refresh all",
            icon=":material/sync:",
            help="Every series that was fetched before, of every interval.",
        )
    if every:
        fetched = market_data.fetched_series(database)
        series.fetch(database, fetched)
        if not fetched:
            st.info("No prices were fetched before: name a symbol.")
    elif one and not wanted.strip():
        acting.forget_said()
        st.info("Name a symbol to fetch, such as KO.")
    elif one and series.fetch(database, [(wanted, interval)]):
        st.session_state[SYMBOL], st.session_state[INTERVAL] = as_symbol(wanted), interval


def arrive(symbols: Sequence[str]) -> None:
    """Take up the symbol of a link in any case; one without prices is offered to be fetched."""
    asked = st.query_params.get(SYMBOL, "")
    was_shown = st.session_state.get(SYMBOL) == asked  # its prices are deleted: no link asks
    if not asked or asked in symbols or was_shown:
        return
    if asked.upper() in symbols:
        st.session_state[SYMBOL] = asked.upper()
    else:
        st.session_state.setdefault(WANTED, asked.upper())
        st.info(
            f"There are no prices of {asked.upper()} here yet: fetch them, or import a file.",
            icon=":material/search:",
        )


def keep_possible(name: str, options: Sequence[str]) -> None:
    """Another window may have deleted what an input still shows: then the first one is shown."""
    if st.session_state.get(name, options[0]) not in options:
        st.session_state[name] = options[0]


def arrive_at_interval(found: Sequence[Coverage]) -> None:
    """Say so where a link asks for an interval that there are no prices of."""
    asked = st.query_params.get(INTERVAL, "")
    symbol = st.query_params.get(SYMBOL, found[0].symbol).upper()
    intervals = [one.interval for one in found if one.symbol == symbol]
    if not asked or not intervals or asked in intervals:
        return
    del st.query_params[INTERVAL]
    if st.session_state.get(INTERVAL) != asked:  # else it is of another symbol: no link asks
        st.info(
            f"There are no {log.plain(asked)} prices of {symbol} here: fetch them, or look at "
            f"those of {intervals[0]}.",
            icon=":material/search:",
        )


def chosen(found: Sequence[Coverage]) -> Coverage:
    """The series to look at."""
    symbols = list(dict.fromkeys(one.symbol for one in found))
    keep_possible(SYMBOL, symbols)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        symbol = st.selectbox(
            "Look at",
            symbols,
            key=SYMBOL,
            bind="query-params",
            help="Whose prices to show. Example: KO.",
            width=230,
        )
        intervals = [one.interval for one in found if one.symbol == symbol]
        if len(intervals) > 1:
            keep_possible(INTERVAL, intervals)
            interval = st.segmented_control(
                "Interval shown",
                intervals,
                key=INTERVAL,
                default=intervals[0],
                required=True,
                bind="query-params",
            )
        else:
            interval = intervals[0]
    return next(one for one in found if (one.symbol, one.interval) == (symbol, interval))


def draw(one: Coverage) -> None:
    """One series: where it comes from, what can be done with it, its chart and rows."""
    revision = prices.revisions().get((one.symbol, one.interval), 0)
    path = str(running.database().path)
    history, odd = series.looked_into(one.symbol, one.interval, revision, path)
    now = acting.now()
    facts = (
        series.freshness(one, now),
        one.basis,
        "" if one.has_ohlc else "closes only: no limit ticks",
        series.exchange_text(one, now),
    )
    st.markdown(
        f"**{one.symbol} · {one.interval} · {one.first_date} to {one.last_date}** · "
        f"{' · '.join(filter(None, facts))}  \n"
        f":small[From {log.plain(history.provenance.source)}]"
    )
    if one.is_stored:
        with st.popover("Delete", icon=":material/delete:", key=f"{PAGE}.delete-{revision}"):
            st.markdown(
                f"Forget the {one.bars:,} stored {one.interval} bars of {one.symbol}? "
                f"{market_data.without_stored(one.symbol, one.interval)} Positions and their "
                "records are not touched."
            )
            st.button(
                f"Delete {one.symbol} {one.interval}",
                type="primary",
                key=f"{PAGE}.deleted-{revision}",
                on_click=acting.act,
                args=(f"{PAGE}.delete-{revision}", delete, one.symbol, one.interval),
            )
    series.draw(history, odd, f"{PAGE}-{one.symbol}-{one.interval}")


def delete(symbol: str, interval: str) -> str:
    """Forget a stored series and say so where its button was, far below the top of the page."""
    told = market_data.delete(running.database(), symbol, interval)
    st.toast(told, icon=":material/delete:", duration="long")
    return ""


st.title("Data")
st.caption(
    "The prices that every page computes with: stored ones first, then those that come with "
    "volbal. What is fetched from Yahoo is for your own use and stays on this machine."
)
with acting.records() as records:
    known = series.covered(str(records.path), records.commits)
    arrive([one.symbol for one in known])
    arrive_at_interval(known)
    fetch_inputs(records)
    with st.container():
        acting.show_said()
    with st.expander("Import a file", icon=":material/upload_file:", key=f"{PAGE}.import"):
        bringing.inputs()
    everything = series.covered(str(records.path), records.commits)
    series.show_all(everything)
    st.subheader("Prices")
    draw(chosen(everything))
