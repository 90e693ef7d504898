"""Doubts about settings: each with a sentence, and a fix that settles it."""

from decimal import Decimal

import pytest
from domain.test_ladder import NOW, cell

from volbal.domain.position import Position
from volbal.domain.sanity import Doubt, doubts, far_anchor, large_dividend


def found(position: Position) -> list[Doubt]:
    return doubts(position, position.balance.anchor or Decimal(1), NOW)


def test_a_usual_cell_raises_no_doubt() -> None:
    assert found(cell()) == []


@pytest.mark.parametrize(
    ("policy", "words", "field"),
    [
        # A round trip costs 2 · 2 % of the notional.
        ({"commission_rate": 0.02}, "earns less than the fees", "trigger_up"),
        # The wish at the first trigger is about 1,000.
        ({"min_notional": 5000.0}, "below the smallest order of 5,000.00", "min_notional"),
        ({"lot_size": 100.0}, "less than one lot of 100", "lot_size"),
        ({"max_stock_share": 0.4}, "outside its guardrails 25 % to 40 %", "max_stock_share"),
        ({"min_stock_share": 0.6}, "outside its guardrails 60 % to 75 %", "min_stock_share"),
    ],
)
def test_a_doubtful_setting_is_named_and_its_fix_settles_it(policy, words, field) -> None:
    position = cell(**policy)
    named = [one for one in found(position) if field in one.fix]
    assert words in named[0].sentence.replace("\N{NARROW NO-BREAK SPACE}", " ")
    changes = {name: value for one in found(position) for name, value in one.fix.items()}
    settled = cell(**(policy | changes))
    assert [one for one in found(settled) if field in one.fix] == []


def test_a_cell_of_one_kind_is_told_what_it_cannot_do() -> None:
    assert "can only sell" in found(cell(cash="0", max_stock_share=1.0))[0].sentence
    assert "can only buy" in found(cell(quantity="0", min_stock_share=0.0))[0].sentence


def test_an_anchor_far_from_the_newest_price_is_doubted_and_that_price_suggested() -> None:
    (doubt,) = far_anchor(Decimal(130), Decimal(100), 2 * 86400)
    assert "The anchor 130.00 is +30" in doubt.sentence
    assert "100.00, which is 2 days old" in doubt.sentence
    assert doubt.fix == {"anchor": 100.0}
    assert far_anchor(Decimal(120), Decimal(100), 0) == []
    assert far_anchor(Decimal(130), Decimal(100), 40 * 86400) == []


def test_a_dividend_above_a_tenth_of_the_price_is_odd() -> None:
    assert large_dividend(Decimal(10), Decimal(100)) == ""
    assert large_dividend(Decimal(25), Decimal(100)).startswith("25.00 is 25")
    assert large_dividend(Decimal(25), None) == ""
