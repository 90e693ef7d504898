import datetime as dt
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from volbal.errors import InvalidInput
from volbal.storage import files, sandbox, sandbox_child
from volbal.storage.sandbox import SqlRefused, SqlTooLarge, Table, run_sql

SECRET = "canary-5f1d"
MEMORY = 128 << 20


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder: the live database, its snapshot, and files worth stealing."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("volbal.duckdb", "volbal_snapshot.duckdb"):
        connection = files.connect(folder / name, writable=True, create=True)
        connection.execute("create table marks as select range as id from range(1000)")
        connection.close()
    for name in ("secret.txt", "secret.csv", "secret.json", "secret.sql"):
        (folder / name).write_text(f"{SECRET}\n{SECRET}\n")
    return folder


@pytest.fixture
def snapshot(data: Path) -> Path:
    return data / "volbal_snapshot.duckdb"


def ask(snapshot: Path, sql: str, rows: int = 1000) -> Table:
    return run_sql(snapshot, sql, rows=rows)


# --- what it is for


def test_a_select_comes_back_with_names_types_and_values(snapshot):
    table = ask(
        snapshot,
        "select 1 as a, 1.50::decimal(18,6) as b, date '2024-02-29' as c, 0.1::double as d,"
        " 'x' as e, null as f, true as g, timestamptz '2024-01-02 03:04:05+00' as h",
    )
    assert table.columns == ("a", "b", "c", "d", "e", "f", "g", "h")
    assert table.types[:3] == ("INTEGER", "DECIMAL(18,6)", "DATE")
    utc = dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    day = dt.date(2024, 2, 29)
    assert table.rows == [(1, Decimal("1.500000"), day, 0.1, "x", None, True, utc)]
    assert not table.truncated


def test_values_json_cannot_hold_survive(snapshot):
    (row,) = ask(
        snapshot,
        "select 'nan'::double, '-inf'::double, 2::hugeint ** 100, 'ab'::blob, [1, null],"
        " {'k': 1.5::decimal(3, 1)}, 'infinity'::timestamp, interval 2 day,"
        " 18446744073709551615::ubigint, [1267650600228229401496703205376::hugeint]",
    ).rows
    assert row[0] != row[0]
    assert row[1] == float("-inf")
    assert row[2] == 2**100
    assert row[3:6] == ("6162", [1, None], {"k": "1.5"})
    assert row[8:] == (2**64 - 1, [f"{2**100}"])


@pytest.mark.parametrize(
    "sql",
    [
        "from marks limit 1",
        "describe marks",
        "show tables",
        "summarize marks",
        "values (1)",
        "with big as (from marks where id > 5) select count(*) from big",
        "select count(*) from marks -- and a comment",
        "select 1;",
    ],
)
def test_every_reading_statement_works(snapshot, sql):
    assert len(ask(snapshot, sql).rows) >= 1


def test_more_rows_than_asked_for_are_cut_and_that_is_said(snapshot):
    table = ask(snapshot, "select id from marks order by id", rows=10)
    assert [row[0] for row in table.rows] == list(range(10))
    assert table.truncated
    assert not ask(snapshot, "select id from marks", rows=1000).truncated


def test_an_endless_result_is_not_computed_to_its_end(snapshot):
    assert ask(snapshot, "select * from range(1000000000000)", rows=5).truncated


def test_the_clock_is_utc(snapshot):
    assert ask(snapshot, "select current_setting('TimeZone')").rows == [("UTC",)]


# --- what it must survive

REFUSED = [
    "copy marks to '{data}/out.csv'",
    "copy marks to 'out.csv'",
    "copy marks to '{data}/volbal.duckdb'",
    "copy marks to '{snapshot}'",
    "copy marks to '{snapshot}.wal'",
    "copy (select 1) to '/dev/stdout'",
    "copy marks from '{data}/secret.csv'",
    "copy from database volbal_snapshot to memory",
    "explain analyze copy marks to '{data}/out.csv'",
    "export database '{data}/export'",
    "import database '{data}'",
    "attach '{data}/volbal.duckdb' as live",
    "attach '{data}/volbal.duckdb' as live (read_only)",
    "attach ':memory:' as scratch",
    "detach volbal_snapshot",
    "use memory",
    "select * from read_csv('/etc/passwd', header = false)",
    "select * from read_csv('{data}/secret.csv', header = false)",
    "select * from read_text('{data}/secret.txt')",
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('{data}/secret.txt')",
    "select * from read_json('{data}/secret.json')",
    "select * from read_parquet('{data}/*.parquet')",
    "select * from sniff_csv('{data}/secret.csv')",
    "select * from glob('{data}/*')",
    "select * from glob('/etc/*')",
    "select * from '{data}/secret.csv'",
    "from '{data}/secret.txt'",
    "select * from read_text('/proc/self/environ')",
    "select * from read_csv('http://127.0.0.1:9/x.csv')",
    "select * from query('copy marks to ''{data}/out.csv''')",
    "select * from query_table('{data}/secret.csv')",
    "install httpfs",
    "load httpfs",
    "load '{data}/secret.txt'",
    "force install sqlite from 'http://127.0.0.1:9'",
    "create secret s (type s3, key_id 'a', secret 'b')",
    "set enable_external_access = true",
    "set lock_configuration = false",
    "set allowed_directories = ['/']",
    "set memory_limit = '100GB'",
    "set temp_directory = '{data}'",
    "set home_directory = '{data}'",
    "set global threads = 1000",
    "reset memory_limit",
    "pragma enable_profiling",
    "pragma memory_limit = '100GB'",
    "pragma database_size",
    "call pragma_version()",
    "checkpoint",
    "force checkpoint",
    "vacuum",
    "with gone as (delete from marks returning *) select * from gone",
    "with new as (insert into marks values (-1) returning *) select * from new",
    "with new as (update marks set id = 0 returning *) select * from new",
    "insert into marks values (1)",
    "update marks set id = 0",
    "delete from marks",
    "truncate marks",
    "drop table marks",
    "alter table marks add column b integer",
    "create table theft as select 1",
    "create temp table scratch as select 1",
    "create macro f(x) as x",
    "create type mood as enum ('a')",
    "comment on table marks is 'x'",
    "begin",
    "commit",
    "prepare p as select 1",
    "execute p",
    "select 1; select 2",
    "select 1; drop table marks",
    "",
    "-- nothing",
    ".read {data}/secret.sql",
    ".shell touch {data}/out",
    "!touch {data}/out",
    "select getenv('HOME')",
    "select * from header",
    "select * from sys.modules",
    "select python_map('x')",
    "select * from marks where",
    "select " + "+".join(["1"] * 20_000),
]

STOPPED = [
    "select count(*) from range(100000000000) a, range(1000000) b",
    "select count(*) from range(10000000000) a where random() < 0.5",
    "select list(range) from range(1000000000)",
    "select array_agg(repeat('x', 1000000) || range) from range(100000)",
    "select repeat('x', 2000000000)",
    "select length(repeat(repeat('x', 1000000), 4000))",
    "select * from range(1000000000) order by random()",
    "select range, count(*) from range(1000000000) group by range",
    "select a.range from range(100000000) a join range(100000000) b on a.range = b.range + 1"
    " order by hash(b.range) desc",
    "with recursive r as (select 1 as i union all select i + 1 from r) select count(*) from r",
    "with recursive r(s) as (select 'x' union all select s || s from r) select max(s) from r",
    "select sum(length(regexp_replace(md5(range::varchar), '(a|b|c|d)+(.*)*x?', '\\2\\1', 'g')))"
    " from range(1000000000)",
    "select string_agg(range::varchar, ',') from range(1000000000)",
    "select repeat('x', 20000000)",
    "select sum(list_sum(list_transform(range(1000000), lambda x: x * range))) from range(1000000)",
]

HARMLESS = [
    "select '\x00' from marks \x00",
    "select * from duckdb_secrets()",
    "select count(*) from duckdb_settings()",
    "select * from duckdb_databases()",
    "select regexp_matches(repeat('a', 100000), '^(a+)+$')",
    "select * from pragma_version()",
    "explain select 1",
    "select " + "(" * 50_000 + "1" + ")" * 50_000,
]


def fingerprint(folder: Path) -> dict[str, str]:
    return {
        str(file): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


def children() -> set[int]:
    """Processes whose parent is this one, from /proc (Linux)."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            found.add(int(status.parent.name))
    return found


@pytest.fixture(scope="module")
def untouched(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """After all hostile statements: no file changed, made or left, no process left."""
    temporary, tempfile.tempdir = tempfile.tempdir, str(tmp_path_factory.mktemp("temporary"))
    cwd, before, alive = Path.cwd(), fingerprint(data), children()
    here = {file.name for file in cwd.iterdir()}
    yield
    assert fingerprint(data) == before
    assert {file.name for file in cwd.iterdir()} == here
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
    tempfile.tempdir = temporary
    assert children() <= alive


def fill(sql: str, data: Path) -> str:
    return sql.replace("{snapshot}", f"{data}/volbal_snapshot.duckdb").replace("{data}", str(data))


def no_secret_in(text: str) -> bool:
    return SECRET not in text and "root:x:" not in text and "PATH=" not in text


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("sql", REFUSED, ids=range(len(REFUSED)))
def test_a_hostile_statement_is_refused_in_one_sentence_and_does_nothing(data, snapshot, sql):
    before = fingerprint(data)
    with pytest.raises(SqlRefused) as refused:
        run_sql(snapshot, fill(sql, data), seconds=5, memory=MEMORY)
    assert no_secret_in(str(refused.value))
    assert "\n" not in str(refused.value)
    assert "Traceback" not in str(refused.value)
    assert fingerprint(data) == before


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("sql", STOPPED, ids=range(len(STOPPED)))
def test_a_greedy_statement_is_stopped_and_its_process_is_gone(data, snapshot, sql):
    before, alive = fingerprint(data), children()
    with pytest.raises(
        SqlTooLarge, match=r"stopped: (it ran longer|it needs more|its result is larger)"
    ):
        run_sql(snapshot, sql, seconds=0.5, memory=MEMORY)
    assert fingerprint(data) == before
    assert children() <= alive


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("sql", HARMLESS, ids=range(len(HARMLESS)))
def test_an_odd_statement_answers_or_is_refused_but_changes_nothing(data, snapshot, sql):
    before = fingerprint(data)
    answer: object
    try:
        answer = run_sql(snapshot, sql, seconds=5, memory=MEMORY)
    except (SqlRefused, SqlTooLarge) as error:
        answer = error
    assert no_secret_in(str(answer))
    assert fingerprint(data) == before


def test_the_corpus_is_as_large_as_promised():
    assert len({*REFUSED, *STOPPED}) >= 45


# --- each barrier by itself


@pytest.mark.parametrize(
    "sql",
    [
        "copy marks to '{data}/out.csv'",
        "attach '{data}/volbal.duckdb' as live",
        "set enable_external_access = true",
        "set memory_limit = '100GB'",
        "delete from marks",
        "install httpfs",
        "select * from read_text('{data}/secret.txt')",
    ],
)
def test_duckdbs_own_settings_refuse_what_the_first_barrier_would_let_through(data, sql):
    header = {"database": str(data / "volbal_snapshot.duckdb"), "memory": MEMORY}
    connection = sandbox_child.connect(header)
    before = fingerprint(data)
    with pytest.raises(duckdb.Error):
        connection.execute(fill(sql, data))
    connection.close()
    assert fingerprint(data) == before


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_the_child_cannot_make_any_file_grow(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import sandbox_child;"
        "sandbox_child.limit_process(1 << 28, 5.0);"
        "file = open(sys.argv[2], 'w'); file.write('x'); file.flush()"
    )
    folder = str(Path(sandbox_child.__file__).parent)
    done = sandbox.subprocess.run(
        [sys.executable, "-c", code, folder, str(tmp_path / "file")], capture_output=True, text=True
    )
    assert "File too large" in done.stderr
    assert (tmp_path / "file").stat().st_size == 0


def test_a_child_that_does_not_answer_is_killed(snapshot, monkeypatch, tmp_path):
    stuck = tmp_path / "stuck.py"
    stuck.write_text("import time; time.sleep(600)")
    monkeypatch.setattr(sandbox.sandbox_child, "__file__", str(stuck))
    monkeypatch.setattr(sandbox, "START", 0.2)
    alive = children()
    with pytest.raises(SqlTooLarge, match=r"ran longer than 0\.3 s"):
        run_sql(snapshot, "select 1", seconds=0.3)
    assert children() <= alive


def test_a_child_that_dies_is_said_to_have_died(snapshot, monkeypatch, tmp_path):
    dead = tmp_path / "dead.py"
    dead.write_text("import os; os.abort()")
    monkeypatch.setattr(sandbox.sandbox_child, "__file__", str(dead))
    with pytest.raises(SqlTooLarge, match="broke the process"):
        run_sql(snapshot, "select 1")


def test_the_environment_of_the_app_is_not_the_childs(snapshot, monkeypatch):
    monkeypatch.setenv("VOLBAL_API_TOKEN", SECRET)
    assert sandbox._environment().keys() <= {"SYSTEMROOT", "MALLOC_ARENA_MAX"}


# --- bad limits


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seconds", 0),
        ("seconds", float("nan")),
        ("seconds", 1e9),
        ("memory", 1),
        ("rows", 0),
        ("rows", 10**9),
    ],
)
def test_a_limit_out_of_range_is_named(snapshot, field, value):
    with pytest.raises(InvalidInput, match=rf"{field}: got .*; use .* to"):
        run_sql(snapshot, "select 1", **{field: value})


def test_a_missing_snapshot_is_named(tmp_path):
    with pytest.raises(InvalidInput, match="there is no file"):
        run_sql(tmp_path / "none.duckdb", "select 1")
