"""Use cases of a position's configuration: change, history, roll back, presets."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from volbal.domain.configuration import (
    Change,
    Configuration,
    ConfigurationRecord,
    difference,
    in_words,
)
from volbal.domain.policy import PRESETS, Policy
from volbal.domain.position import Position
from volbal.errors import InvalidInput
from volbal.services import book
from volbal.storage import records
from volbal.storage.database import Database
from volbal.storage.records import Connection

LONGEST_NAME: Final = 60


def configure(
    database: Database,
    position_id: int,
    changes: Mapping[str, Any],
    *,
    by: str,
    note: str = "",
    now: datetime,
) -> Position:
    """Change settings by name; nothing is recorded where nothing differs.

    Raises PositionNotFound, PositionClosed, InvalidInput.
    """
    with database.write() as connection:
        position = book.open_position(connection, position_id)
        after = position.configuration.changed(changes)
        return _apply(connection, position, after, by, note, now)


def apply_policy(
    database: Database, position_id: int, policy: Policy, *, by: str, note: str, now: datetime
) -> Position:
    """Take over a whole policy: a preset, or a cell of a study.

    Raises PositionNotFound, PositionClosed.
    """
    with database.write() as connection:
        position = book.open_position(connection, position_id)
        after = Configuration(policy, position.configuration.strict)
        return _apply(connection, position, after, by, note, now)


def roll_back(
    database: Database, position_id: int, number: int, *, by: str, now: datetime
) -> Position:
    """Make configuration `number` of the history the current one again, as a new step.

    Raises PositionNotFound, PositionClosed, InvalidInput for a number that is not there.
    """
    with database.write() as connection:
        position = book.open_position(connection, position_id)
        known = records.configurations(connection, position_id)
        found = next((one for one in known if one.number == number), None)
        if found is None:
            raise InvalidInput(
                "number", f"there is no configuration {number}", f"allowed: 1 to {len(known)}"
            )
        note = f"rolled back to {number}"
        return _apply(connection, position, found.configuration, by, note, now)


def history(database: Database, position_id: int) -> list[ConfigurationRecord]:
    """Every configuration, oldest first. Raises PositionNotFound."""
    with database.read() as connection:
        book.position(connection, position_id)
        return records.configurations(connection, position_id)


def presets(database: Database) -> dict[str, Policy]:
    """The built-in ones, then the user's own by name."""
    with database.read() as connection:
        return {**PRESETS, **records.presets(connection)}


def save_preset(database: Database, name: str, policy: Policy, now: datetime) -> None:
    """Keep a policy under a name, replacing an own one of that name. Raises InvalidInput."""
    text = _own_name(name)
    with database.write() as connection:
        records.store_preset(connection, text, policy, now)


def delete_preset(database: Database, name: str) -> None:
    """Forget an own preset; one that is not there is forgotten already. Raises InvalidInput."""
    text = _own_name(name)
    with database.write() as connection:
        records.delete_preset(connection, text)


def record(
    connection: Connection,
    position_id: int,
    configuration: Configuration,
    by: str,
    note: str,
    now: datetime,
) -> int:
    """Append to the history; returns the number of the step."""
    number = len(records.configurations(connection, position_id)) + 1
    step = ConfigurationRecord(number, now, by, note, configuration)
    records.insert_configuration(connection, position_id, step)
    return number


def _apply(
    connection: Connection,
    position: Position,
    after: Configuration,
    by: str,
    note: str,
    now: datetime,
) -> Position:
    position_id, changed = position.position_id, difference(position.configuration, after)
    if not changed:
        return position
    number = record(connection, position_id, after, by, note, now)
    records.store_configuration(connection, position_id, after)
    book.tell(
        connection,
        position_id,
        now,
        "configuration",
        f"Settings changed by {by}: {_told(changed)}{f' ({note})' if note else ''}.",
        {"by": by, "note": note},
        {"number": number, "changes": {one.name: [one.before, one.after] for one in changed}},
    )
    return book.position(connection, position_id)


def _told(changed: tuple[Change, ...]) -> str:
    return ", ".join(
        f"{one.name.replace('_', ' ')} from {in_words(one.name, one.before)} "
        f"to {in_words(one.name, one.after)}"
        for one in changed
    )


def _own_name(name: str) -> str:
    text = name.strip()
    if not text or len(text) > LONGEST_NAME:
        raise InvalidInput("name", f"{len(text)} characters", f"allowed: 1 to {LONGEST_NAME}")
    if text in PRESETS:
        raise InvalidInput("name", f"{text!r} is built in", "choose another name")
    return text
