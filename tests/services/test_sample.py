"""The sample portfolio: real services over bundled prices; removed without a trace, alone."""

from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest
from books import NOW, a_cell, carried_out, contents

from volbal.services import autopilot, market_data, overview, positions, price_store, sample, verify
from volbal.storage import records
from volbal.storage.database import Database

TODAY = datetime(2026, 11, 2, 15, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _few_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last weeks say as much as the half year."""
    monkeypatch.setattr(sample, "BEGINS", datetime(2023, 9, 1, tzinfo=UTC).date())


def test_it_is_lived_through_by_the_services_and_labelled(database: Database) -> None:
    parts: list[float] = []
    sample.add(database, TODAY, parts.append)
    found = overview.overview(database, TODAY).open
    assert {one.position.ticker for one in found} == {cell.symbol for cell in sample.CELLS}
    assert all(one.is_sample and one.runs_itself for one in found)
    assert all(len(one.trail) > 10 for one in found)
    assert sum(len(positions.events(database, one.position.position_id)) for one in found) > 40
    assert parts == sorted(parts)
    assert parts[-1] == 1.0
    assert verify.verify(database) == []
    before = contents(database)
    sample.add(database, TODAY)
    assert contents(database) == before


def test_one_that_was_cut_off_is_finished_by_adding_again(database: Database) -> None:
    class Cut(Exception):
        pass

    def cut(part: float) -> None:
        if part > 0.2:
            raise Cut

    with pytest.raises(Cut):
        sample.add(database, TODAY, cut)
    sample.add(database, TODAY)
    found = overview.overview(database, TODAY).open
    assert [one.position.position_id for one in found] == [1, 2, 3]
    assert all("2023-09-21" in str(one.position.last_price_at) for one in found)


def test_removing_it_leaves_everything_else_as_it_was(database: Database) -> None:
    mine = a_cell(database)
    carried_out(database, mine.position_id, 97, NOW)
    before = contents(database)
    sample.add(database, TODAY)
    assert contents(database) != before
    sample.remove(database)
    assert contents(database) == before
    assert verify.verify(database) == []


@pytest.mark.parametrize("steps", [1, 2])
def test_a_removal_that_was_cut_off_is_finished(database: Database, steps: int) -> None:
    sample.add(database, TODAY)
    for step in (records.begin_removing_samples, records.remove_from_samples)[:steps]:
        with database.write() as connection:
            step(connection)
    sample.finish_removal(database)
    assert all(rows == [] for table, rows in contents(database).items())


def test_a_whole_sample_is_not_touched_by_finishing(database: Database) -> None:
    sample.add(database, TODAY)
    sample.finish_removal(database)
    assert len(positions.list_positions(database)) == len(sample.CELLS)


def test_it_keeps_to_the_prices_it_came_with(database: Database) -> None:
    sample.add(database, TODAY)
    symbol = sample.CELLS[0].symbol
    known = market_data.BUNDLED.history(symbol)
    later = known.bars.iloc[-5:].set_axis(known.bars.index[-5:] + pd.Timedelta(days=365))
    newer = replace(known, bars=pd.concat([known.bars, later]))
    with database.write() as connection:
        price_store.replace(connection, newer, "test", TODAY)
    before = contents(database)
    assert market_data.history(database, symbol).last_date > known.last_date
    autopilot.catch_up_all(database, TODAY)
    assert contents(database) == before
