"""The child process of `sandbox`: one SELECT on a read-only file, answered as JSON.

It is run by its path with Python's isolated mode: nothing of volbal, of the environment or of
the user's folder is imported. It limits itself before it reads the statement.
"""

import contextlib
import json
import math
import os
import sys
import threading
from datetime import date, datetime
from typing import Any

import duckdb

# Address space of Python, DuckDB and its threads (0.2 GB) and of buffers that grow by doubling.
OVERHEAD = 1 << 30
MAX_ANSWER = 16_000_000
SIGNED = range(-(2**63), 2**63)
ALLOWED = "only one statement that reads is allowed (SELECT, FROM, WITH, VALUES, DESCRIBE, SHOW)"


class RefusedError(Exception):
    """The statement is not one that may run here."""


class TooLargeError(Exception):
    """The statement needs more than it may have."""


def main() -> None:
    """Read a request from standard input, write one answer to standard output, and vanish."""
    header = json.loads(sys.stdin.readline())
    limit_process(header["memory"], header["seconds"])
    sql = json.loads(sys.stdin.readline())
    sys.stdout.write(json.dumps(answer(header, sql)))
    sys.stdout.flush()
    os._exit(0)  # DuckDB's and the timer's threads do not always survive a tidy shutdown


def limit_process(memory: int, seconds: float) -> None:
    """No file may grow, no memory beyond the limit, no life beyond the parent's patience."""
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        cpu = int(seconds) * 2 + 5
        for what, most in (
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_NOFILE, 64),
            (resource.RLIMIT_AS, memory + OVERHEAD),
            (resource.RLIMIT_CPU, cpu),
        ):
            with contextlib.suppress(ValueError):  # a stricter limit is set already
                resource.setrlimit(what, (most, most))


def answer(header: dict[str, Any], sql: str) -> dict[str, Any]:
    """{"columns", "types", "rows", "truncated"} or {"refused" or "too_large": sentence}."""
    try:
        require_one_read(sql)
        return result(connect(header), header, sql)
    except RefusedError as error:
        return {"refused": str(error)}
    except TooLargeError as error:
        return {"too_large": str(error)}
    except duckdb.InterruptException:
        return {"too_large": f"it ran longer than {header['seconds']:g} s"}
    except (MemoryError, duckdb.OutOfMemoryException):
        return {"too_large": f"it needs more than {header['memory'] >> 20} MB of memory"}
    except (duckdb.Error, ValueError, OverflowError, RecursionError) as error:
        return {"refused": sentence(error)}


def require_one_read(sql: str) -> None:
    """A first barrier only: DuckDB calls `with x as (delete ...) select` a SELECT too."""
    statements = duckdb.extract_statements(sql)
    if len(statements) != 1:
        raise RefusedError(f"it holds {len(statements)} statements; {ALLOWED}")
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        raise RefusedError(f"it is no SELECT but {kind.name}; {ALLOWED}")


def connect(header: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    """Read-only, without files, extensions, Python variables or a way to change that."""
    connection = duckdb.connect(
        header["database"],
        read_only=True,
        config={
            "enable_external_access": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "allow_persistent_secrets": False,
            "python_enable_replacements": False,
            "temp_directory": "",
            "max_temp_directory_size": "0B",
            "memory_limit": f"{header['memory']}B",
            "threads": 2,
        },
    )
    connection.execute("set global TimeZone = 'UTC'")
    connection.execute("set lock_configuration = true")
    return connection


def result(
    connection: duckdb.DuckDBPyConnection, header: dict[str, Any], sql: str
) -> dict[str, Any]:
    """The first `rows` rows; asks for one more to know whether there are."""
    timer = threading.Timer(header["seconds"], connection.interrupt)
    timer.daemon = True
    timer.start()
    connection.execute(sql)
    columns = [str(column[0]) for column in connection.description]
    types = [str(column[1]) for column in connection.description]
    rows: list[list[object]] = []
    size = 0
    while len(rows) <= header["rows"] and (row := connection.fetchone()) is not None:
        encoded = [plain(value) for value in row]
        size += len(json.dumps(encoded))
        if size > MAX_ANSWER:
            raise TooLargeError(f"its result is larger than {MAX_ANSWER // 1_000_000} MB")
        rows.append(encoded)
    timer.cancel()
    more = len(rows) > header["rows"]
    return {"columns": columns, "types": types, "rows": rows[: header["rows"]], "truncated": more}


def plain(value: object) -> object:
    """JSON that the parent turns back by the column's type; other types become text."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, int) and value not in SIGNED:
        return str(value)  # the programs that show nested values know 64 bits
    native = value is None or isinstance(value, bool | int | str)
    finite = isinstance(value, float) and math.isfinite(value)
    return value if native or finite else str(value)


def sentence(error: BaseException) -> str:
    """The first paragraph of DuckDB's message; the rest draws the statement again."""
    return " ".join(str(error).split("\n\n")[0].split())


if __name__ == "__main__":
    main()
