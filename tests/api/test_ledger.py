"""Positions, orders and fills over HTTP: every status and code of SPEC §4 and §5."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from volbal.services import positions, settings, trading
from volbal.services.running import database

from .conftest import Asker, submitted, told

JSON = {"Content-Type": "application/json"}


def test_a_position_is_made_with_its_defaults_and_a_second_of_the_ticker_is_another(
    ask: Asker,
) -> None:
    first = ask("POST", "/v1/positions", json={"ticker": "zim"})
    second = ask("POST", "/v1/positions", json={"ticker": "ZIM"})
    assert first.status_code == second.status_code == 201
    made = first.json()
    assert (made["ticker"], made["qty"], made["cash"], made["anchor_price"]) == ("ZIM", 0, 0, None)
    assert made["id"] != second.json()["id"]
    assert ask("GET", f"/v1/positions/{made['id']}").json() == made


def test_numbers_keep_exactly_their_digits_both_ways(ask: Asker) -> None:
    # 2**53 + 1 cents and 12 decimals: neither is a double.
    body = '{"ticker":"X","qty":0.123456789012,"cash":90071992547.409931,"anchor_price":1e-12}'
    response = ask("POST", "/v1/positions", content=body, headers=JSON)
    assert response.status_code == 201
    for text in ('"qty":0.123456789012,', '"cash":90071992547.409931,'):
        assert text in response.text
    made = json.loads(response.text, parse_float=Decimal)
    assert made["anchor_price"] == Decimal("1e-12")


def test_older_names_and_own_ones_set_the_same_policy(ask: Asker) -> None:
    older = {
        "ticker": "X",
        "order_policy": {"trigger_threshold_pct": 0.05, "allow_after_hours": True},
        "guardrails": {
            "min_stock_alloc_pct": 0.3,
            "max_stock_alloc_pct": 0.7,
            "max_orders_per_day": 3,
        },
        "withholding_tax_rate": 0.15,
    }
    own = {
        "ticker": "X",
        "order_policy": {
            "trigger_threshold": 0.05,
            "after_hours": True,
            "min_stock_share": 0.3,
            "max_stock_share": 0.7,
            "max_orders_per_day": 3,
            "withholding_rate": 0.15,
        },
    }
    policies = [ask("POST", "/v1/positions", json=body).json()["policy"] for body in (older, own)]
    assert policies[0] == policies[1]
    assert policies[0]["trigger_up"] == policies[0]["trigger_down"] == 0.05
    assert policies[0]["withholding_rate"] == 0.15


WRONG = [
    ('{"ticker":"X","qty":-1}', "invalid_qty", "qty"),
    ('{"ticker":"X","qty":"1"}', "invalid_qty", "qty"),
    ('{"ticker":"X","qty":true}', "invalid_qty", "qty"),
    ('{"ticker":"X","qty":NaN}', "invalid_qty", "qty"),
    ('{"ticker":"X","cash":Infinity}', "invalid_cash", "cash"),
    ('{"ticker":"X","cash":1e400}', "invalid_cash", "cash"),
    ('{"ticker":"X","cash":0.0000001}', "invalid_cash", "cash"),
    ('{"ticker":"X","anchor_price":0}', "invalid_anchor_price", "anchor_price"),
    ('{"ticker":"no symbol"}', "invalid_ticker", "ticker"),
    ("{}", "invalid_ticker", "ticker"),
    ('{"ticker":"X","colour":1}', "invalid_field", "colour"),
    ('{"ticker":"X","order_policy":{"luck":1}}', "invalid_field", "order_policy.luck"),
    ('{"ticker":"X","withholding_tax_rate":1.5}', "invalid_withholding_tax_rate",
     "withholding_tax_rate"),
    ('{"ticker":"X","guardrails":{"min_stock_alloc_pct":0.8}}', "invalid_min_stock_alloc_pct",
     "min_stock_alloc_pct"),
    ('{"ticker":"X","order_policy":{"trigger_up":0.1,"trigger_threshold_pct":0.2}}',
     "invalid_trigger_threshold_pct", "trigger_threshold_pct"),
    ('{"tick', "invalid_body", None),
    ("[1]", "invalid_body", None),
    ('{"ticker":"\\ud800"}', "invalid_body", None),
    ("[" * 100_000, "invalid_body", None),
    ('{"ticker":"X","qty":' + "9" * 5000 + "}", "invalid_body", None),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "field"), WRONG, ids=[body[:50] for body, _, _ in WRONG])
def test_what_cannot_be_used_is_a_422_that_names_it_and_makes_nothing(
    ask: Asker, body: str, code: str, field: str | None
) -> None:
    before = ask("GET", "/v1/positions").headers["X-Total-Count"]
    response = ask("POST", "/v1/positions", content=body, headers=JSON)
    assert told(response) == (422, code)
    assert response.json().get("field") == field
    assert not {"nan", "infinity"} & set(response.text.lower().split())
    assert ask("GET", "/v1/positions").headers["X-Total-Count"] == before


@pytest.mark.parametrize("threshold", [1, 3, 100])
def test_a_threshold_of_one_or_more_is_refused_as_no_fraction(ask: Asker, threshold: int) -> None:
    body = {"ticker": "X", "order_policy": {"trigger_threshold_pct": threshold}}
    response = ask("POST", "/v1/positions", json=body)
    assert told(response) == (422, "invalid_trigger_threshold_pct")
    assert f"{threshold} % is {threshold / 100:g}" in response.json()["message"]


def test_a_body_without_its_content_type_is_refused_with_the_one_to_send(ask: Asker) -> None:
    response = ask("POST", "/v1/positions", content='{"ticker":"X"}')
    assert told(response) == (422, "invalid_body")
    assert "Content-Type: application/json" in response.json()["message"]


def test_an_order_is_accepted_once_and_a_refusal_leaves_one_event(
    ask: Asker, a_position: int
) -> None:
    first = submitted(ask, a_position, "k1")
    assert first.status_code == 201
    expected = {"order_id": first.json()["order_id"], "accepted": True, "position_id": a_position}
    assert first.json() == expected
    again = submitted(ask, a_position, "k1")
    assert (again.status_code, again.json()) == (200, expected)
    other = submitted(ask, a_position, "k1", side="SELL")
    assert told(other) == (409, "idempotency_signature_mismatch")
    events = ask("GET", f"/v1/positions/{a_position}/events").json()
    assert events["position_id"] == a_position
    assert [event["type"] for event in events["events"]] == ["refused", "submission", "opened"]


@pytest.mark.parametrize("key", [None, "", "   "])
def test_no_or_a_blank_key_is_a_400(ask: Asker, a_position: int, key: str | None) -> None:
    assert told(submitted(ask, a_position, key)) == (400, "missing_idempotency_key")
    assert ask("GET", f"/v1/positions/{a_position}/orders").json()["orders"] == []


def test_a_key_that_is_too_long_is_told_its_limit(ask: Asker, a_position: int) -> None:
    response = submitted(ask, a_position, "k" * 5000)
    assert told(response) == (422, "invalid_idempotency_key")
    assert "allowed: 1 to 200 characters" in response.json()["message"]


MISSING = [
    ("GET", "/v1/positions/999999", None, "position_not_found"),
    ("GET", "/v1/positions/none", None, "position_not_found"),
    ("GET", "/v1/positions/99999999999999999999", None, "position_not_found"),
    ("GET", "/v1/positions/999999/events", None, "position_not_found"),
    ("GET", "/v1/positions/999999/orders", None, "position_not_found"),
    ("GET", "/v1/positions/999999/fills", None, "position_not_found"),
    ("GET", "/v1/positions/999999/dividends", None, "position_not_found"),
    ("GET", "/v1/positions/999999/performance", None, "position_not_found"),
    ("POST", "/v1/positions/999999/evaluate", {"price": 1}, "position_not_found"),
    ("POST", "/v1/positions/999999/evaluate", None, "position_not_found"),
    ("POST", "/v1/positions/999999/orders", {"side": "BUY", "qty": 1}, "position_not_found"),
    ("POST", "/v1/positions/999999/deposit", {"amount": 1}, "position_not_found"),
    ("POST", "/v1/positions/999999/withdraw", {"amount": 1}, "position_not_found"),
    ("POST", "/v1/positions/999999/anchor", {"anchor_price": 1}, "position_not_found"),
    ("POST", "/v1/positions/999999/close", None, "position_not_found"),
    ("POST", "/v1/orders/999999/fill", {"price": 1, "filled_qty": 1}, "order_not_found"),
    ("POST", "/v1/orders/999999/cancel", None, "order_not_found"),
    ("POST", "/v1/orders/999999/reject", {"reason": "x"}, "order_not_found"),
    ("POST", "/v1/dividends/999999/pay", None, "dividend_not_found"),
    ("POST", "/v1/dividends/999999/withdraw", None, "dividend_not_found"),
]


@pytest.mark.parametrize(("method", "path", "body", "code"), MISSING)
def test_what_is_not_there_is_a_404(
    ask: Asker, method: str, path: str, body: dict[str, Any] | None, code: str
) -> None:
    assert told(ask(method, path, json=body, headers={"Idempotency-Key": "k"})) == (404, code)


def test_a_fill_moves_shares_and_cash_and_its_key_makes_it_happen_once(
    ask: Asker, an_order: tuple[int, int]
) -> None:
    position, order = an_order
    fill = {"price": 96.5, "filled_qty": 4, "commission": 0.25}
    for _ in range(2):
        response = ask(
            "POST", f"/v1/orders/{order}/fill", json=fill, headers={"Idempotency-Key": "f"}
        )
        assert response.status_code == 200
        # 5000 - 4 * 96.5 - 0.25
        assert (
            response.json()
            | {
                "order_id": order,
                "status": "partially_filled",
                "position_qty": 54,
                "position_cash": 4613.75,
            }
            == response.json()
        )
    other = fill | {"filled_qty": 5}
    response = ask("POST", f"/v1/orders/{order}/fill", json=other, headers={"Idempotency-Key": "f"})
    assert told(response) == (409, "idempotency_signature_mismatch")
    assert len(ask("GET", f"/v1/positions/{position}/fills").json()["fills"]) == 1


REFUSED_FILLS = [
    ({"price": 100, "filled_qty": 11}, "overfill"),
    ({"price": 100_000, "filled_qty": 1}, "insufficient_cash"),
]


@pytest.mark.parametrize(("fill", "code"), REFUSED_FILLS)
def test_an_impossible_fill_is_a_409_and_changes_nothing(
    ask: Asker, an_order: tuple[int, int], fill: dict[str, Any], code: str
) -> None:
    position, order = an_order
    before = ask("GET", f"/v1/positions/{position}").json()
    assert told(ask("POST", f"/v1/orders/{order}/fill", json=fill)) == (409, code)
    assert ask("GET", f"/v1/positions/{position}").json() == before


def test_more_shares_than_there_are_cannot_be_sold(ask: Asker, a_position: int) -> None:
    order = submitted(ask, a_position, "s", side="SELL", qty=60).json()["order_id"]
    response = ask("POST", f"/v1/orders/{order}/fill", json={"price": 100, "filled_qty": 60})
    assert told(response) == (409, "insufficient_shares")


@pytest.mark.parametrize(
    "fill",
    [
        {"price": 0, "filled_qty": 1},
        {"price": 1, "filled_qty": 0},
        {"price": 1, "filled_qty": 1, "commission": -1},
        {"price": 1},
        {"price": 1, "filled_qty": 1, "filled_at": "2020-01-01T10:00:00"},
        {"price": 1, "filled_qty": 1, "filled_at": "2999-01-01T10:00:00Z"},
    ],
)
def test_a_fill_that_cannot_be_is_a_422(
    ask: Asker, an_order: tuple[int, int], fill: dict[str, Any]
) -> None:
    status, code = told(ask("POST", f"/v1/orders/{an_order[1]}/fill", json=fill))
    assert (status, code[:8]) == (422, "invalid_")


def test_a_strict_position_refuses_to_leave_its_guardrails(ask: Asker, a_position: int) -> None:
    now = datetime.now(UTC)
    settings.configure(database(), a_position, {"strict": True}, by="screen", now=now)
    order = submitted(ask, a_position, "k", qty=45).json()["order_id"]
    response = ask("POST", f"/v1/orders/{order}/fill", json={"price": 100, "filled_qty": 45})
    assert told(response) == (409, "guardrail_breach")


def test_orders_end_by_cancel_and_reject_and_then_take_nothing_more(
    ask: Asker, a_position: int
) -> None:
    one, two = (submitted(ask, a_position, key).json()["order_id"] for key in "ab")
    assert ask("POST", f"/v1/orders/{one}/cancel").json()["status"] == "cancelled"
    rejected = ask("POST", f"/v1/orders/{two}/reject", json={"reason": "halted"}).json()
    assert (rejected["status"], rejected["reason"]) == ("rejected", "halted")
    for order in (one, two):
        assert told(ask("POST", f"/v1/orders/{order}/cancel")) == (409, "order_closed")
        fill = {"price": 100, "filled_qty": 1}
        assert told(ask("POST", f"/v1/orders/{order}/fill", json=fill)) == (409, "order_closed")
    assert told(ask("POST", f"/v1/orders/{one}/reject", json={"reason": " "}))[0] == 422


def test_the_cap_of_a_day_is_a_409(ask: Asker) -> None:
    body = {"ticker": "X", "cash": 9, "guardrails": {"max_orders_per_day": 1}}
    position = ask("POST", "/v1/positions", json=body).json()["id"]
    assert submitted(ask, position, "a").status_code == 201
    assert told(submitted(ask, position, "b")) == (409, "daily_order_cap")


def test_money_moves_in_and_out_and_never_below_zero(ask: Asker, a_position: int) -> None:
    path = f"/v1/positions/{a_position}"
    assert ask("POST", f"{path}/deposit", json={"amount": 0.000001}).json()["cash"] == 5000.000001
    assert ask("POST", f"{path}/withdraw", json={"amount": 5000}).json()["cash"] == 0.000001
    refused = ask("POST", f"{path}/withdraw", json={"amount": 1})
    assert told(refused) == (409, "insufficient_cash")
    assert told(ask("POST", f"{path}/deposit", json={"amount": 0})) == (422, "invalid_amount")
    assert ask("POST", f"{path}/anchor", json={"anchor_price": 90}).json()["anchor_price"] == 90


@pytest.mark.parametrize("step", ["deposit", "withdraw"])
def test_money_moves_once_under_a_key_which_stands_for_nothing_else(
    ask: Asker, a_position: int, step: str
) -> None:
    path, key = f"/v1/positions/{a_position}", {"Idempotency-Key": "m1"}
    answers = [ask("POST", f"{path}/{step}", json={"amount": 7}, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json()["cash"] for answer in answers] == [
        5007 if step == "deposit" else 4993
    ] * 2
    for again in ("deposit", "withdraw"):
        response = ask("POST", f"{path}/{again}", json={"amount": 8}, headers=key)
        assert told(response) == (409, "idempotency_signature_mismatch")
    blank = ask("POST", f"{path}/{step}", json={"amount": 7}, headers={"Idempotency-Key": " "})
    assert told(blank) == (400, "missing_idempotency_key")


def test_closing_needs_every_order_ended_and_then_nothing_new_is_taken(
    ask: Asker, an_order: tuple[int, int]
) -> None:
    position, order = an_order
    assert told(ask("POST", f"/v1/positions/{position}/close")) == (409, "order_open")
    ask("POST", f"/v1/orders/{order}/cancel")
    assert ask("POST", f"/v1/positions/{position}/close").json()["is_open"] is False
    assert told(submitted(ask, position, "new")) == (422, "invalid_position")


def test_evaluate_proposes_an_order_that_can_be_submitted_under_its_key(
    ask: Asker, a_position: int
) -> None:
    answer = ask("POST", f"/v1/positions/{a_position}/evaluate", json={"price": 96}).json()
    assert answer["position_id"] == a_position
    decision, (proposal,) = answer["decision"], answer["proposals"]
    assert (decision["action"], decision["reason"]) == ("BUY", "triggered")
    assert round(proposal["qty"], 5) == 7.08926  # SPEC §3.4's golden run
    order = {"side": proposal["side"], "qty": proposal["qty"]}
    assert submitted(ask, a_position, proposal["idempotency_key"], **order).status_code == 201
    held = ask("POST", f"/v1/positions/{a_position}/evaluate", json={"price": 96}).json()
    assert (held["decision"]["reason"], held["proposals"]) == ("open_order", [])


def test_a_price_far_away_waits_until_it_is_confirmed(ask: Asker, a_position: int) -> None:
    path = f"/v1/positions/{a_position}/evaluate"
    suspect = ask("POST", path, json={"price": 40}).json()["decision"]
    assert (suspect["action"], suspect["reason"]) == ("HOLD", "suspect_price")
    sure = ask("POST", path, json={"price": 40, "confirmed": True}).json()["decision"]
    assert sure["action"] == "BUY"


@pytest.mark.parametrize("ticker", ["ACME", "KO"])
def test_without_a_price_or_with_an_old_one_only_evaluation_is_503_with_retry_after(
    ask: Asker, ticker: str
) -> None:
    position = ask("POST", "/v1/positions", json={"ticker": ticker, "qty": 1}).json()["id"]
    response = ask("POST", f"/v1/positions/{position}/evaluate")
    assert told(response) == (503, "price_unavailable")
    assert int(response.headers["Retry-After"]) > 0


def test_a_dividend_is_announced_accrued_and_paid_once(ask: Asker, a_position: int) -> None:
    body = {"ex_on": "2026-01-02", "per_share": 0.5}
    made = ask("POST", f"/v1/positions/{a_position}/dividends", json=body)
    assert (made.status_code, made.json()["state"]) == (201, "announced")
    pay = f"/v1/dividends/{made.json()['dividend_id']}/pay"
    assert told(ask("POST", pay)) == (422, "invalid_dividend")
    wrong = body | {"ex_on": "2026-01-05"}
    made = ask("POST", f"/v1/positions/{a_position}/dividends", json=wrong).json()
    withdraw = f"/v1/dividends/{made['dividend_id']}/withdraw"
    assert ask("POST", withdraw).json() == made
    assert told(ask("POST", withdraw)) == (404, "dividend_not_found")
    ask("POST", f"/v1/positions/{a_position}/evaluate", json={"price": 100})
    assert told(ask("POST", pay.replace("pay", "withdraw"))) == (422, "invalid_dividend")
    for _ in range(2):
        assert ask("POST", pay).json()["state"] == "paid"
    backwards = body | {"ex_on": "2026-02-02", "pay_on": "2026-02-01"}
    response = ask("POST", f"/v1/positions/{a_position}/dividends", json=backwards)
    assert told(response) == (422, "invalid_pay_on")


def test_lists_come_in_pieces_that_say_how_many_there_are(ask: Asker, a_position: int) -> None:
    ids = [submitted(ask, a_position, key).json()["order_id"] for key in "abc"]
    path = f"/v1/positions/{a_position}/orders"
    response = ask("GET", f"{path}?limit=1&offset=1")
    assert [order["order_id"] for order in response.json()["orders"]] == [ids[1]]
    assert response.headers["X-Total-Count"] == "3"
    for query in ("limit=0", "limit=x", "offset=-1", "limit=10001"):
        assert told(ask("GET", f"{path}?{query}"))[0] == 422


def test_screens_and_api_see_each_others_changes_at_once(ask: Asker, a_position: int) -> None:
    now = datetime.now(UTC)
    positions.deposit(database(), a_position, 1, now)
    assert ask("GET", f"/v1/positions/{a_position}").json()["cash"] == 5001
    order = submitted(ask, a_position, "k").json()["order_id"]
    assert [one.order_id for one in trading.list_orders(database(), a_position)] == [order]
    trading.cancel(database(), order, now)
    assert told(ask("POST", f"/v1/orders/{order}/cancel")) == (409, "order_closed")


def test_performance_says_why_what_is_undefined(ask: Asker, a_position: int) -> None:
    answer = ask("GET", f"/v1/positions/{a_position}/performance").json()
    assert answer["time_weighted"] is None
    assert "fewer than two" in answer["undefined"]["time_weighted"]
    ask("POST", f"/v1/positions/{a_position}/evaluate", json={"price": 110})
    answer = ask("GET", f"/v1/positions/{a_position}/performance").json()
    assert answer["time_weighted"] == pytest.approx(0.05)  # half of 10,000 grew by 10 %
