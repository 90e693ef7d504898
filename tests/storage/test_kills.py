import sys

import pytest

from bench import kills


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a POSIX word")
def test_fifty_kills_lose_double_and_halve_nothing():
    report = kills.run(50, seed=20260101)
    print(report.sentence())
    assert report.kills == 50
    assert report.acknowledged > 100  # else the writers hardly worked
    assert (report.lost, report.doubled, report.half, report.unexplained) == (0, 0, 0, 0)
    assert (report.torn_snapshots, report.leftovers) == (0, 0)
