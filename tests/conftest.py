"""What tests of several folders share."""

import os
import shutil

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The program file of an installed Chromium or Chrome; VOLBAL_CHROMIUM names another one.

    Without one the test is skipped, or fails where VOLBAL_REQUIRE_BROWSER=1 (as in CI).
    """
    named = os.environ.get("VOLBAL_CHROMIUM")
    for candidate in [named] if named else BROWSERS:
        found = shutil.which(candidate)
        if found:
            return found
    looked_for = f"VOLBAL_CHROMIUM={named} is no program" if named else f"no {', '.join(BROWSERS)}"
    sentence = f"Browser tests were not run: {looked_for} on this machine."
    if os.environ.get("VOLBAL_REQUIRE_BROWSER") == "1":
        pytest.fail(sentence)
    pytest.skip(sentence)
