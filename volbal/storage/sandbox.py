"""SQL typed by a user: run in a child process on a read-only copy, within limits.

Barriers, each enough for most of what could go wrong: a process of its own that is killed after
its time · the snapshot instead of the live file, opened read-only · exactly one SELECT · no
external access, extensions or Python variables, configuration locked · no file can grow (POSIX),
no spilling, bounded memory · an empty folder, no environment.
Not verified on Windows, where the system's limits on files and address space do not exist.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from volbal.errors import InvalidInput, VolbalError
from volbal.storage import sandbox_child

# Starting Python and importing DuckDB, on a busy machine.
START = 5.0

NUMBERS: Mapping[str, Callable[[str], float]] = {
    **dict.fromkeys(("DOUBLE", "FLOAT"), float),
    **dict.fromkeys(("UBIGINT", "HUGEINT", "UHUGEINT"), int),
}
"""What turns the texts of numbers back that JSON, or what reads it, has no room for."""


class SqlRefused(VolbalError):
    """The statement may not run, or is wrong."""

    code = "invalid_sql"

    def __init__(self, reason: str) -> None:
        super().__init__(f"This SQL was not run to its end: {reason.rstrip('.')}.")


class SqlTooLarge(VolbalError):
    """The statement was stopped at a limit."""

    code = "invalid_sql"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"This SQL was stopped: {reason}. Ask for less (a date range, LIMIT, an aggregate), "
            "or open the snapshot with the duckdb command-line tool, which has no limits."
        )


@dataclass(frozen=True, slots=True)
class Table:
    """What a statement returned.

    types: DuckDB's names. rows: DECIMAL as Decimal, DATE and TIMESTAMP as date and datetime,
    BLOB as hexadecimal text, lists and structs as Python's, in them what has more than 64 bits as
    text. truncated: there were more rows.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool


def run_sql(
    snapshot: Path,
    sql: str,
    *,
    seconds: float = 10.0,
    memory: int = 512 << 20,
    rows: int = 10_000,
) -> Table:
    """The result of one reading statement on the snapshot.

    seconds, memory (bytes), rows: the limits. Raises InvalidInput, SqlRefused, SqlTooLarge.
    """
    _require("seconds", seconds, 0.1, 300)
    _require("memory", memory, 32 << 20, 8 << 30)
    _require("rows", rows, 1, 1_000_000)
    if not snapshot.is_file():
        raise InvalidInput("snapshot", f"there is no file {snapshot}", "start volbal once")
    header = {"database": str(snapshot.absolute()), "seconds": seconds}
    request = json.dumps({**header, "memory": memory, "rows": rows}) + "\n" + json.dumps(sql) + "\n"
    return _table(_ask_child(request, seconds))


def _require(field: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InvalidInput(field, f"got {value}", f"use {low:g} to {high:g}")


def _ask_child(request: str, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-I", "-X", "utf8", str(Path(sandbox_child.__file__))]
    with tempfile.TemporaryDirectory(prefix="volbal-sql-") as empty:
        try:
            done = subprocess.run(
                command,
                input=request,
                capture_output=True,
                encoding="utf-8",
                cwd=empty,
                env=_environment(),
                timeout=seconds + START,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise SqlTooLarge(f"it ran longer than {seconds:g} s") from error
    return _answer(done)


def _environment() -> dict[str, str]:
    """Nothing of the user's; SYSTEMROOT because Windows starts no program without it."""
    needed = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    # glibc reserves 64 MB of address space a thread otherwise, which RLIMIT_AS counts.
    return {**needed, "MALLOC_ARENA_MAX": "1"}


def _answer(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    if done.returncode:
        raise SqlTooLarge(f"it broke the process that ran it (exit {done.returncode})")
    answer: dict[str, Any] = json.loads(done.stdout)
    if "refused" in answer:
        raise SqlRefused(answer["refused"])
    if "too_large" in answer:
        raise SqlTooLarge(answer["too_large"])
    return answer


def _table(answer: dict[str, Any]) -> Table:
    types = tuple(answer["types"])
    rows = [
        tuple(_value(cell, kind) for cell, kind in zip(row, types, strict=True))
        for row in answer["rows"]
    ]
    return Table(tuple(answer["columns"]), types, rows, answer["truncated"])


def _value(cell: Any, kind: str) -> Any:
    if not isinstance(cell, str):
        return cell
    if kind.startswith("DECIMAL") and "[" not in kind:
        return Decimal(cell)
    if kind in NUMBERS:
        return NUMBERS[kind](cell)
    try:
        if kind == "DATE":
            return date.fromisoformat(cell)
        return datetime.fromisoformat(cell) if kind.startswith("TIMESTAMP") else cell
    except ValueError:
        return cell  # infinity and years before 1 have no Python date
