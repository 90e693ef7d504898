from dataclasses import replace

import pytest
from books import DAY, NOW, a_cell, contents, event_types

from volbal.domain.configuration import difference
from volbal.domain.policy import PRESETS, Policy
from volbal.domain.wording import THIN_SPACE as SPACE
from volbal.errors import InvalidInput
from volbal.services import positions, settings
from volbal.storage.database import Database


def test_the_history_tells_who_when_before_and_after(database: Database) -> None:
    cell = a_cell(database)
    settings.configure(
        database,
        cell.position_id,
        {"trigger_threshold": 0.05},
        by="ann",
        note="calm",
        now=NOW + DAY,
    )
    first, second = settings.history(database, cell.position_id)
    assert (second.number, second.configured_by, second.note) == (2, "ann", "calm")
    assert second.configured_at == NOW + DAY
    changed = difference(first.configuration, second.configuration)
    assert [(one.name, one.before, one.after) for one in changed] == [
        ("trigger_up", 0.03, 0.05),
        ("trigger_down", 0.03, 0.05),
    ]
    assert positions.events(database, cell.position_id)[0].sentence == (
        f"Settings changed by ann: trigger up from 3{SPACE}% to 5{SPACE}%, "
        f"trigger down from 3{SPACE}% to 5{SPACE}% (calm)."
    )


def test_a_change_that_changes_nothing_is_no_history(database: Database) -> None:
    cell = a_cell(database)
    before = contents(database)
    settings.configure(database, cell.position_id, {"trigger_up": 0.03}, by="ann", now=NOW)
    assert contents(database) == before


def test_a_bad_setting_writes_nothing(database: Database) -> None:
    cell = a_cell(database)
    before = contents(database)
    with pytest.raises(InvalidInput, match="trigger_up"):
        settings.configure(database, cell.position_id, {"trigger_up": 3}, by="ann", now=NOW)
    assert contents(database) == before


def test_rolling_back_is_a_new_step_with_the_old_settings(database: Database) -> None:
    cell = a_cell(database)
    settings.configure(database, cell.position_id, {"strict": True}, by="ann", now=NOW)
    back = settings.roll_back(database, cell.position_id, 1, by="bob", now=NOW + DAY)
    assert back.configuration == cell.configuration
    assert [one.number for one in settings.history(database, cell.position_id)] == [1, 2, 3]
    with pytest.raises(InvalidInput, match="allowed: 1 to 3"):
        settings.roll_back(database, cell.position_id, 4, by="bob", now=NOW)


def test_a_preset_applies_as_a_recorded_change(database: Database) -> None:
    cell = a_cell(database)
    preset = settings.presets(database)["conservative"]
    moved = settings.apply_policy(
        database, cell.position_id, preset, by="ann", note="preset", now=NOW
    )
    assert moved.configuration.policy == PRESETS["conservative"]
    assert event_types(database, cell.position_id)[-1] == "configuration"


def test_own_presets_are_saved_replaced_and_deleted_by_name(database: Database) -> None:
    mine = replace(Policy(), trigger_up=0.04)
    settings.save_preset(database, " mine ", mine, NOW)
    settings.save_preset(database, "mine", replace(mine, trigger_up=0.05), NOW)
    assert list(settings.presets(database)) == ["conservative", "standard", "aggressive", "mine"]
    assert settings.presets(database)["mine"].trigger_up == 0.05
    settings.delete_preset(database, "mine")
    assert "mine" not in settings.presets(database)


@pytest.mark.parametrize("name", ["standard", " ", "x" * 61])
def test_built_in_and_unusable_names_cannot_be_taken(database: Database, name: str) -> None:
    with pytest.raises(InvalidInput, match="name"):
        settings.save_preset(database, name, Policy(), NOW)
