"""A process that writes until it is killed and says what was stored.

    python -m bench.mark_writer FILE FIRST_ID

Three threads write one mark a transaction, a fourth in leased batches of ten, a fifth reads; the
snapshot is published every 0.2 s. After each commit the mark's id goes to standard output.
"""

import os
import sys
import threading
from pathlib import Path

from volbal.storage.database import Database
from volbal.storage.publish import Publisher

STEPS = Path(__file__).with_name("marks")


def write_mark(database: Database, mark: int) -> None:
    """One transaction: a mark and its two legs."""
    with database.write() as connection:
        connection.execute("insert into marks values (?, ?)", [mark, "x" * (mark % 500)])
        connection.execute("insert into legs values (?, 1.5), (?, -1.5)", [mark, mark])


def single(database: Database, first: int) -> None:
    for mark in range(first, first + 100_000):
        write_mark(database, mark)
        os.write(1, f"{mark}\n".encode())


def batches(database: Database, first: int) -> None:
    for start in range(first, first + 100_000, 10):
        with database.lease():
            for mark in range(start, start + 10):
                write_mark(database, mark)
                os.write(1, f"{mark}\n".encode())


def reader(database: Database, _first: int) -> None:
    while True:
        with database.read() as connection:
            connection.execute("select sum(amount) from legs").fetchone()


def main() -> None:
    path, first = Path(sys.argv[1]), int(sys.argv[2])
    database = Database(path, steps=STEPS)
    database.open()
    Publisher(database, path.with_name("snapshot.duckdb"), delay=0.2).start()
    os.write(1, b"ready\n")
    work = [single, single, single, batches, reader]
    for number, target in enumerate(work):
        threading.Thread(target=target, args=(database, first + number * 100_000)).start()


if __name__ == "__main__":
    main()
