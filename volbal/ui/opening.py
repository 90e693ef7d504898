"""The short form that opens a position, with a live preview of what the rule would do."""

from decimal import Decimal
from typing import Any

import streamlit as st

from volbal.domain.configuration import Configuration
from volbal.domain.money import PRICE, positive
from volbal.domain.policy import Policy
from volbal.domain.position import Position
from volbal.domain.sanity import Doubt, doubts, far_anchor
from volbal.domain.wording import duration, money, price, share_count
from volbal.errors import InvalidInput, PriceUnavailable
from volbal.services import market_data, positions, settings
from volbal.services.market_data import SeenPrice
from volbal.services.running import Database
from volbal.ui import acting, fields, log, rungs
from volbal.ui.forms import recalled, remember

PAGE = "opening"
NEW, MADE = "new", f"{PAGE}-made"
DOLLARS, SHARES = "An amount of money", "Shares and cash I have"
DEFAULTS: dict[str, Any] = {
    "symbol": "",
    "price": None,
    "how": DOLLARS,
    "capital": 10_000.0,
    "stock_share": 0.5,
    "quantity": 0.0,
    "cash": 0.0,
    "preset": "standard",
    "fixes": {},
}


def arrive() -> None:
    """Go to the position that the form has just opened; empty the form once that is over."""
    made: dict[str, int] = st.session_state.setdefault(MADE, {})
    for token, position_id in made.items():
        if acting.is_fresh(token):
            if st.query_params.get("id") == NEW:
                st.query_params.from_dict({"id": str(position_id)})
            return
    if made:
        remember(PAGE, DEFAULTS)
        made.clear()


def draw(database: Database) -> None:
    """The form beside what it would open."""
    remember(
        PAGE, {name: st.session_state.get(f"{PAGE}.{name}", DEFAULTS[name]) for name in DEFAULTS}
    )
    form, shown = st.columns([2, 3], gap="large")
    with form:
        _inputs(database)
    with shown:
        _preview(database)


def _inputs(database: Database) -> None:
    symbol, at = st.columns(2)
    symbol.text_input(
        "Symbol",
        key=f"{PAGE}.symbol",
        on_change=_renew_price,
        placeholder="AAPL",
        max_chars=20,
        help="The stock, as Yahoo spells it. Example: AAPL, or BRK-B.",
    )
    seen = _seen(database)
    at.number_input(
        "Price",
        key=f"{PAGE}.price",
        step=1.0,
        format="%.12g",
        placeholder="none known: type one" if seen is None else price(seen.price),
        help="Price per share that becomes the anchor. Left empty: the newest price known. "
        "Example: 187.40.",
    )
    st.caption(_price_text(seen))
    st.segmented_control(
        "Start with",
        [DOLLARS, SHARES],
        key=f"{PAGE}.how",
        required=True,
        width="stretch",
        help="Example: 10,000 of which half in stock; or the 50 shares and 5,000 you have.",
    )
    left, right = st.columns(2)
    if recalled(PAGE, "how") == DOLLARS:
        _number(left, "capital", "Capital", 1000.0, "Worth of the cell. Example: 10000.")
        _number(
            right,
            "stock_share",
            "Stock share",
            0.05,
            "Part of it in shares, the rest is cash. Example: 0.5 is 50 %.",
        )
    else:
        _number(left, "quantity", "Shares", 1.0, "Shares you hold for this cell. Example: 50.")
        _number(right, "cash", "Cash", 1000.0, "Money set aside for this cell. Example: 5000.")
    st.segmented_control(
        "Preset",
        list(settings.presets(database)),
        key=f"{PAGE}.preset",
        required=True,
        on_change=lambda: remember(PAGE, {"fixes": {}}),
        format_func=str.capitalize,
        width="stretch",
        help="How the rule trades; every setting can be changed later. "
        "Example: conservative trades seldom and little.",
    )
    st.caption(fields.policy_sentence(_policy(database)))


def _number(place: Any, name: str, label: str, step: float, told: str) -> None:
    place.number_input(label, key=f"{PAGE}.{name}", step=step, format="%.12g", help=told)


def _price_text(seen: SeenPrice | None) -> str:
    """What the anchor will be, and how old; a line in any case, so that nothing jumps."""
    if (recalled(PAGE, "price") or 0.0) > 0.0:
        return "The typed price becomes the anchor."
    if seen is None:
        return "Without a price there is no anchor yet."
    age, source = duration(seen.age.total_seconds()), log.plain(seen.source)
    return f"{price(seen.price)} is {age} old: {source}. Type a newer one if you can."


def _renew_price() -> None:
    """A price typed for another symbol must not become this one's anchor."""
    remember(PAGE, {"price": None})


def _seen(database: Database) -> SeenPrice | None:
    """The newest price known of the symbol; None where there is none."""
    try:
        return market_data.latest_price(database, recalled(PAGE, "symbol"), acting.now())
    except (PriceUnavailable, InvalidInput):
        return None


def _policy(database: Database) -> Policy:
    preset = settings.presets(database)[recalled(PAGE, "preset")]
    return preset.changed(recalled(PAGE, "fixes"))


def _preview(database: Database) -> None:
    if not recalled(PAGE, "symbol").strip():
        st.info(
            "Enter a symbol to see here what the rule would do with the position.",
            icon=":material/visibility:",
        )
        return
    try:
        position = _draft(database)
    except InvalidInput as error:
        st.error(fields.refusal(error), icon=":material/error:")
        return
    anchor, balance = position.balance.anchor, position.balance
    if anchor is None:
        return
    st.markdown(
        f"**{position.ticker}**: {share_count(balance.quantity)} at {price(anchor)} and "
        f"{money(balance.cash)} in cash."
    )
    for doubt in (*_about_price(database, anchor), *doubts(position, anchor, acting.now())):
        rungs.show_doubt(doubt, f"{PAGE}-doubt", _settle)
    token = acting.token("open")
    st.button(
        "Open position",
        type="primary",
        icon=":material/add:",
        key=token,
        on_click=acting.act,
        args=(token, _open, database, token, st.session_state[MADE]),
        help="Records the position; no order is placed.",
    )
    rungs.draw(position, f"{PAGE}-ladder")


def _about_price(database: Database, anchor: Decimal) -> list[Doubt]:
    """What is odd about a symbol or an anchor beside the prices that are here."""
    seen = _seen(database)
    if seen is None:
        return [
            Doubt(
                "No price of this symbol is known here. Is it spelled as Yahoo does? Fetch its "
                "prices on Data, or type one whenever the position is evaluated."
            )
        ]
    return far_anchor(anchor, seen.price, seen.age.total_seconds())


def _settle(changes: dict[str, Any]) -> None:
    """Take over what a doubt suggests: another anchor, or settings."""
    if "anchor" in changes:
        remember(PAGE, {"price": changes["anchor"]})
    else:
        remember(PAGE, {"fixes": {**recalled(PAGE, "fixes"), **changes}})


def _draft(database: Database) -> Position:
    """What the inputs describe. Raises InvalidInput."""
    typed, policy = recalled(PAGE, "price"), _policy(database)
    seen = None if typed is not None else _seen(database)
    if typed is None and seen is None:
        raise InvalidInput(
            "price", "no price of this symbol is known", "type one, or fetch prices on Data"
        )
    at = positive("price", typed, PRICE) if seen is None else seen.price
    if recalled(PAGE, "how") == DOLLARS:
        quantity, cash = positions.bought(
            recalled(PAGE, "capital"), recalled(PAGE, "stock_share"), at, policy.lot_size
        )
    else:
        quantity, cash = recalled(PAGE, "quantity"), recalled(PAGE, "cash")
        if not quantity and not cash:
            raise InvalidInput(
                "shares", "there are neither shares nor cash", "give shares, cash or both"
            )
    configuration = Configuration(policy)
    return positions.draft(
        recalled(PAGE, "symbol"), quantity, cash, at, configuration, acting.now()
    )


def _open(database: Database, token: str, made: dict[str, int]) -> str:
    """Open what the form says, the last word typed included; `made` tells its number."""
    position = _draft(database)
    after = positions.open_position(
        database,
        position.ticker,
        quantity=position.balance.quantity,
        cash=position.balance.cash,
        anchor_price=position.balance.anchor,
        configuration=position.configuration,
        now=acting.now(),
    )
    made[token] = after.position_id
    held = f"{share_count(after.balance.quantity)} and {money(after.balance.cash)} in cash"
    return (
        f"Position {after.position_id} ({after.ticker}) is open with {held}. "
        "Evaluate it at a price."
    )
