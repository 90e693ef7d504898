"""`kill -9` at random moments: is anything lost, doubled, or half there?"""

import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.mark_writer import STEPS
from volbal.storage import files
from volbal.storage.database import Database
from volbal.storage.startup import read_everything

ROOT = Path(__file__).resolve().parents[1]
ROUNDS_PER_FILE = 10
THREADS = 4


@dataclass(slots=True)
class Report:
    """Counts over all kills; everything but kills and acknowledged must be 0."""

    kills: int = 0
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    half: int = 0
    unexplained: int = 0
    torn_snapshots: int = 0
    leftovers: int = 0
    reopen_seconds: list[float] = field(default_factory=list)

    def sentence(self) -> str:
        slowest = max(self.reopen_seconds)
        return (
            f"{self.kills} kills, {self.acknowledged} acknowledged marks: {self.lost} lost, "
            f"{self.doubled} double, {self.half} half, {self.unexplained} unexplained, "
            f"{self.torn_snapshots} torn snapshots, {self.leftovers} leftover files; reopened in "
            f"{statistics.median(self.reopen_seconds) * 1000:.0f} ms (median), "
            f"{slowest * 1000:.0f} ms (slowest)"
        )


def run(kills: int, seed: int) -> Report:
    """Kill a writing process `kills` times, every tenth time starting with a new file."""
    chance = random.Random(seed)
    report = Report()
    while report.kills < kills:
        # A killed writer's copying child may still be at work for some milliseconds.
        with tempfile.TemporaryDirectory("-kills", ignore_cleanup_errors=True) as folder:
            path = Path(folder) / "marks.duckdb"
            known: set[int] = set()
            for _ in range(min(ROUNDS_PER_FILE, kills - report.kills)):
                _one_kill(path, known, report, chance)
    return report


def _one_kill(path: Path, known: set[int], report: Report, chance: random.Random) -> None:
    first = report.kills * 1_000_000
    acknowledged = _acknowledged_until_killed(path, first, chance)
    report.kills += 1
    report.acknowledged += len(acknowledged)
    known |= acknowledged
    _check_snapshot(path.with_name("snapshot.duckdb"), report)
    started = time.perf_counter()
    database = Database(path, steps=STEPS)
    database.open()
    report.reopen_seconds.append(time.perf_counter() - started)
    _check_marks(database, known, report)
    database.close()
    report.leftovers += len(list(path.parent.glob("marks.duckdb.*")))


def _acknowledged_until_killed(path: Path, first: int, chance: random.Random) -> set[int]:
    command = [sys.executable, "-m", "bench.mark_writer", str(path), str(first)]
    writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        if chance.random() < 0.8:  # else anywhere in start-up and the creation of the file
            assert writer.stdout is not None
            writer.stdout.readline()
        time.sleep(chance.uniform(0, 0.5))
    finally:
        writer.kill()
    output, _ = writer.communicate()
    whole_lines = output[: output.rfind("\n") + 1].split()
    return {int(line) for line in whole_lines if line != "ready"}


def _check_marks(database: Database, known: set[int], report: Report) -> None:
    with database.read() as connection:
        stored = [row[0] for row in connection.execute("select id from marks").fetchall()]
        unbalanced = connection.execute(_UNBALANCED).fetchall()
    report.half += len(unbalanced)
    report.doubled += len(stored) - len(set(stored))
    report.lost += len(known - set(stored))
    # A thread may be killed between its commit and its print: one mark each, not more.
    report.unexplained += max(len(set(stored) - known) - THREADS, 0)
    known |= set(stored)


_UNBALANCED = """
select m.id from marks m left join legs l on l.mark_id = m.id
group by m.id having count(l.amount) != 2 * count(distinct m.id) or sum(l.amount) != 0
union all
select mark_id from legs where mark_id not in (select id from marks)
"""


def _check_snapshot(snapshot: Path, report: Report) -> None:
    if not snapshot.exists():
        return
    connection = files.connect(snapshot, writable=False)
    try:
        read_everything(connection)
        if connection.execute(_UNBALANCED).fetchall() or files.wal_of(snapshot).exists():
            report.torn_snapshots += 1
    finally:
        connection.close()
