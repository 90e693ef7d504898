from decimal import Decimal

from volbal.domain import wording


def test_ratios_become_percent() -> None:
    assert wording.percent(0.0312) == "3.12\N{NARROW NO-BREAK SPACE}%"
    assert wording.percent_change(0.05, 1) == "+5.0\N{NARROW NO-BREAK SPACE}%"


def test_negative_numbers_have_a_real_minus_and_zero_has_none() -> None:
    assert wording.money(Decimal("-1234.5")) == "\N{MINUS SIGN}1,234.50"
    assert wording.money(-0.001) == "0.00"


def test_prices_show_cents_and_further_decimals_only_where_there_are_any() -> None:
    assert wording.price(Decimal("97.000000000000")) == "97.00"
    assert wording.price(Decimal("0.1234567")) == "0.123457"
    assert wording.price(Decimal("0.0000001")) == "0.0000001"
    assert wording.price(Decimal(0)) == "0.00"
    assert wording.price(1e300) == "1e+300"


def test_whole_shares_have_no_decimals() -> None:
    assert wording.shares(Decimal("10.000000000000")) == "10"
    assert wording.shares(Decimal("1000.5")) == "1,000.5"


def test_one_share_is_no_plural() -> None:
    counts = (1, Decimal("1.000000000000"), -1, 0, Decimal("1.5"), 1000)
    assert [wording.share_count(count) for count in counts] == [
        "1 share", "1 share", "\N{MINUS SIGN}1 share", "0 shares", "1.5 shares", "1,000 shares",
    ]  # fmt: skip
    assert [wording.counted(count, "bar") for count in (0, 1, 1200)] == [
        "0 bars", "1 bar", "1,200 bars",
    ]  # fmt: skip


def test_ages_are_told_in_their_largest_unit() -> None:
    seconds = (0, 59, 60, 7200, 86399, 86400, 129599, 129600, 200000, 1165 * 86400)
    assert [wording.duration(age) for age in seconds] == [
        "0 s",
        "59 s",
        "1 min",
        "2 h",
        "23 h",
        "1 day",
        "1 day",
        "2 days",  # a close of Friday on Sunday morning
        "2 days",
        "1,165 days",
    ]


def test_words_are_listed_with_an_and_before_the_last() -> None:
    assert [wording.listed(list("abc")[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_of_many_things_the_first_few_are_told_and_how_many_more_there_are() -> None:
    assert wording.few(["a", "b"], most=2) == ["a", "b"]
    assert wording.few(["a", "b", "c"], "more.", 2) == ["a", "b", "and 1 more."]


def test_a_half_cent_is_written_away_from_zero_as_the_ledger_rounds() -> None:
    assert wording.money(Decimal("3.125")) == "3.13"
    assert wording.money(Decimal("-3.125")) == "\N{MINUS SIGN}3.13"
