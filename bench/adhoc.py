"""Can other programs look into the database while volbal writes? Prints a table.

    python -m bench.adhoc [--opens 100] [--rate 2] [--rows 100] [--hold 8] [--burst 1000]

This process is the app: `rate` writes a second, three readers, the publisher. Beside it run
one-shot commands of the duckdb command-line tool (where installed) and of Python's duckdb.
"""

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.mark_writer import STEPS, write_mark
from volbal.storage.database import Database, DatabaseBusy
from volbal.storage.publish import Publisher

TRIES = 10
PAUSE = 0.05
QUERY = "select count(*) from marks"

PYTHON_ONE_SHOT = """
import duckdb, sys
print(duckdb.connect(sys.argv[1], read_only=True).execute(sys.argv[2]).fetchone()[0])
"""
PYTHON_SESSION = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[1], read_only=True)
print("open", flush=True)
time.sleep(float(sys.argv[2]))
"""


@dataclass(slots=True)
class Opens:
    """How one-shot opens went: the number of the try at which each succeeded; 0 for never."""

    tries: list[int] = field(default_factory=list)

    def share(self, within: int) -> float:
        return sum(0 < number <= within for number in self.tries) / len(self.tries)


def command_line(path: Path) -> list[str] | None:
    """The released duckdb tool, if this machine has one."""
    tool = shutil.which("duckdb", path=Path(sys.executable).parent) or shutil.which("duckdb")
    return [tool, "-readonly", str(path), QUERY] if tool else None


def python_command(path: Path) -> list[str]:
    return [sys.executable, "-c", PYTHON_ONE_SHOT, str(path), QUERY]


def one_shots(command: list[str], opens: int) -> Opens:
    """Run the command `opens` times, each up to TRIES times."""
    result = Opens()
    for _ in range(opens):
        result.tries.append(next((n for n in range(1, TRIES + 1) if _succeeds(command)), 0))
        time.sleep(0.03)
    return result


def _succeeds(command: list[str]) -> bool:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        time.sleep(PAUSE)
    return done.returncode == 0


@contextlib.contextmanager
def app(path: Path, *, rows: int = 0, timeout: float = 5.0) -> Iterator[Database]:
    """A running storage with `rows` marks in it and a published snapshot."""
    database = Database(path, timeout=timeout, steps=STEPS)
    database.open()
    with database.write() as connection:
        connection.execute(
            "insert into marks select -1 - range, md5(range::varchar) from range(?)", [rows]
        )
    publisher = Publisher(database, path.with_name("snapshot.duckdb"))
    publisher.start()
    try:
        yield database
    finally:
        publisher.close()
        database.close()


@contextlib.contextmanager
def load(database: Database, rate: float, latencies: list[float]) -> Iterator[None]:
    """`rate` writes a second and three readers until the block ends; appends seconds a write."""
    stop = threading.Event()

    def write() -> None:
        mark = 0
        while not stop.wait(1 / rate):
            started = time.perf_counter()
            write_mark(database, mark)
            latencies.append(time.perf_counter() - started)
            mark += 1

    def read() -> None:
        while not stop.wait(0.2):
            with database.read() as connection:
                connection.execute("select sum(amount) from legs").fetchone()

    threads = [threading.Thread(target=target) for target in (write, read, read, read)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def session_elsewhere(path: Path, seconds: float) -> "subprocess.Popen[str]":
    """Another program that has the file open, read-only, for a while."""
    command = [sys.executable, "-c", PYTHON_SESSION, str(path), str(seconds)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    holder.stdout.readline()
    return holder


def burst(database: Database, first: int, writes: int) -> float:
    """One-row transactions a second through one lease."""
    started = time.perf_counter()
    with database.lease():
        for mark in range(first, first + writes):
            write_mark(database, mark)
    return writes / (time.perf_counter() - started)


def crowd(database: Database, first: int, writes: int, threads: int = 50) -> float:
    """One-row transactions a second from many threads at once, nobody asking for a lease."""

    def some(start: int) -> None:
        for mark in range(start, start + writes // threads):
            write_mark(database, mark)

    workers = [
        threading.Thread(target=some, args=(first + number * writes,)) for number in range(threads)
    ]
    started = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return writes / (time.perf_counter() - started)


def singly(database: Database, first: int, writes: int) -> float:
    """One-row transactions a second, one after another, the file given back after each."""
    started = time.perf_counter()
    for mark in range(first, first + writes):
        write_mark(database, mark)
    return writes / (time.perf_counter() - started)


def opens_report(path: Path, chosen: argparse.Namespace) -> None:
    with app(path, rows=chosen.rows) as database:
        latencies: list[float] = []
        with load(database, chosen.rate, latencies):
            for name, command in _commands(path).items():
                result = one_shots(command, chosen.opens)
                print(
                    f"{name:<42} first try {result.share(1):7.1%}   "
                    f"within {TRIES} tries {result.share(TRIES):7.1%}"
                )
    latencies.sort()
    print(
        f"{'app writes meanwhile':<42} {len(latencies)} writes, median "
        f"{latencies[len(latencies) // 2] * 1000:.0f} ms, slowest {latencies[-1] * 1000:.0f} ms"
    )


def _commands(path: Path) -> dict[str, list[str]]:
    snapshot = path.with_name("snapshot.duckdb")
    commands = {
        "python, database, read-only": python_command(path),
        "python, snapshot": python_command(snapshot),
    }
    tool = command_line(path)
    if tool is None:
        print("no duckdb command here: only Python is measured")
        return commands
    commands["duckdb -readonly, database"] = tool
    commands["duckdb -readonly, snapshot"] = [tool[0], "-readonly", str(snapshot), QUERY]
    return commands


def session_report(path: Path, seconds: float) -> None:
    with app(path, timeout=seconds + 10) as database:
        holder = session_elsewhere(path, seconds)
        started = time.perf_counter()
        write_mark(database, 1)
        waited = time.perf_counter() - started
        holder.communicate()
        print(f"{f'session elsewhere for {seconds:g} s':<42} write stored after {waited:.1f} s")
        database.timeout = 1.0
        holder = session_elsewhere(path, 3)
        try:
            write_mark(database, 2)
        except DatabaseBusy as error:
            named = f"PID {holder.pid}" in str(error)
            print(f"{'same, app waits 1 s only':<42} database_busy, holder named: {named}")
        holder.communicate()


def burst_report(path: Path, writes: int) -> None:
    measures: dict[str, Callable[[Database, int, int], float]] = {
        "through one lease": burst,
        "50 threads at once": crowd,
        "one by one, file given back each time": singly,
    }
    with app(path) as database:
        for number, (name, measure) in enumerate(measures.items(), start=1):
            rate = measure(database, number * 1_000_000_000, writes)
            print(f"{f'{writes} writes {name}':<42} {rate:.0f}/s")


def lag_report(path: Path, writes: int = 20) -> None:
    snapshot = path.with_name("snapshot.duckdb")
    with app(path) as database:
        lags = sorted(_lag(database, snapshot, mark) for mark in range(writes))
    print(
        f"{'snapshot behind a write':<42} median {lags[writes // 2]:.2f} s, "
        f"slowest {lags[-1]:.2f} s"
    )


def _lag(database: Database, snapshot: Path, mark: int) -> float:
    """Seconds from a commit until the snapshot is another file than before it."""
    time.sleep(0.1)
    before = snapshot.stat().st_ino if snapshot.exists() else None
    write_mark(database, mark)
    started = time.perf_counter()
    while not snapshot.exists() or snapshot.stat().st_ino == before:
        time.sleep(0.005)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.adhoc")
    parser.add_argument("--opens", type=int, default=100)
    parser.add_argument("--rate", type=float, default=2.0, help="writes a second of the app")
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--hold", type=float, default=8.0, help="seconds a session stays open")
    parser.add_argument("--burst", type=int, default=1000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="volbal-adhoc-") as folder:
        opens_report(Path(folder) / "opens" / "marks.duckdb", chosen)
        lag_report(Path(folder) / "lag" / "marks.duckdb")
        session_report(Path(folder) / "session" / "marks.duckdb", chosen.hold)
        burst_report(Path(folder) / "burst" / "marks.duckdb", chosen.burst)


if __name__ == "__main__":
    main()
