"""What a bug of volbal looks like on a page, and in the log."""

import logging
import re

import pytest
from streamlit.testing.v1 import AppTest

from volbal.ui import fault


def test_a_bug_is_shown_as_a_number_under_which_the_log_has_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def page() -> None:
        from volbal.ui import fault

        try:
            raise ZeroDivisionError("secret detail")
        except ZeroDivisionError as error:
            fault.show(error)

    with caplog.at_level(logging.ERROR, "volbal"):
        app = AppTest.from_function(page, default_timeout=60).run()
    (message,) = app.error
    found = re.search(r"fault ([0-9a-f]{8})\.", message.value)
    assert found is not None
    assert "secret" not in message.value
    assert not app.exception
    (line,) = [record for record in caplog.records if record.name == "volbal"]
    assert found[1] in line.getMessage()
    assert line.exc_info is not None
    assert "secret detail" in str(line.exc_info[1])


def test_the_served_app_shows_bugs_that_way() -> None:
    from app import ui

    assert ui._on_script_error is fault.show
