from datetime import date
from pathlib import Path

import pytest
import replay
from books import opened

from volbal.domain.policy import Policy
from volbal.services import verify
from volbal.storage.database import Database

FALL = date(2000, 9, 29)  # AAPL closed 52 % below the day before


@pytest.mark.parametrize("seed", range(8))
def test_a_random_path_lived_tick_by_tick_is_its_simulation(database: Database, seed: int) -> None:
    compared = replay.prove(database, replay.random_story(seed, days=60))
    assert compared.ticks >= 60
    assert verify.verify(database) == []


def test_the_random_paths_trade_and_pay_dividends(tmp_path: Path) -> None:
    with opened(tmp_path / "volbal.duckdb") as database:
        compared = replay.prove(database, replay.random_story(1, days=60))
    assert compared.orders >= 5
    assert compared.dividends >= 1


def test_the_worst_day_of_aapl_lived_is_its_simulation(database: Database) -> None:
    story = replay.real_story("AAPL", date(2000, 9, 1), date(2000, 11, 30), Policy())
    day = [one.date() for one in story.times].index(FALL)
    assert story.prices[day] / story.prices[day - 1] < 0.49
    assert replay.prove(database, story).orders >= 5


def test_first_dividends_of_aapl_lived_are_its_simulation(database: Database) -> None:
    policy = Policy(trigger_up=0.02, trigger_down=0.02)
    story = replay.real_story("AAPL", date(2012, 8, 1), date(2013, 3, 28), policy)
    compared = replay.prove(database, story)
    assert compared.dividends == 3
    assert compared.orders >= 10
