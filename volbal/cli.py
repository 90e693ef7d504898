"""`python -m volbal …`: translate words into a service call, and its answer into text or JSON.

Bad input ends with exit code 2 and one line that says what is wrong.
"""

import argparse
import json
import logging
import math
import os
import sys
import time
import tomllib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NoReturn

from volbal.config import Settings
from volbal.domain.policy import Policy
from volbal.domain.study_states import StudyState
from volbal.domain.wording import MINUS
from volbal.engine.grid import Parameter, Value, exact_range
from volbal.engine.metrics import METRIC, METRICS, rankable
from volbal.errors import InvalidInput, VolbalError
from volbal.formatting import metric_text, money, value_text
from volbal.market.cells import DATE_ORDERS
from volbal.market.files import read_prices
from volbal.market.model import DAILY, PriceHistory
from volbal.services import maintenance, price_commands, study_commands
from volbal.services.research import (
    BENCHMARKS,
    Optimization,
    Setup,
    Simulation,
    optimize,
    simulate,
)
from volbal.services.running import Database
from volbal.services.studies import Progress
from volbal.services.study_results import View

DISAGREES = 1
UNFINISHED = 1
BAD_INPUT = 2
INTERRUPTED = 130
"""As shells have it for Ctrl-C."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line instead of printing the usage first."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except VolbalError as error:
        print(f"volbal: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt as interrupted:
        print(f"\nvolbal: {str(interrupted) or 'Interrupted.'}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has seen enough; keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> _Parser:
    parser = _Parser(prog="volbal", description="Volatility balancing on real prices.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    replay = commands.add_parser("simulate", help="replay one policy over real prices")
    _add_setup(replay)
    replay.add_argument("--json", action="store_true", help="print the result as JSON")
    replay.set_defaults(run=_simulate)

    sweep = commands.add_parser("optimize", help="simulate every combination of parameter values")
    _add_setup(sweep)
    sweep.add_argument(
        "--param",
        action="append",
        required=True,
        metavar="NAME=MIN:MAX:STEP",
        help="a range, or NAME=V1,V2,… for single values; repeat for more parameters",
    )
    sweep.add_argument("--metric", default="sharpe_ratio", help="what is best (sharpe_ratio)")
    sweep.add_argument("--top", type=int, default=10, help="rows of the printed table (10)")
    sweep.add_argument("--csv", type=Path, metavar="FILE", help="write every cell to FILE")
    sweep.add_argument("--json", action="store_true", help="print every cell as JSON")
    sweep.add_argument("--workers", type=int, help="parallel workers (all cores)")
    sweep.set_defaults(run=_optimize)

    ask = commands.add_parser("sql", help="run one reading SQL statement on the records")
    ask.add_argument("statement", help='such as "select * from v_positions"')
    ask.add_argument("--rows", type=int, default=1000, help="rows printed at most (1000)")
    ask.add_argument("--seconds", type=float, default=10.0, help="time limit (10)")
    ask.set_defaults(run=_sql)

    check = commands.add_parser("verify", help="recompute every balance, name what disagrees")
    check.set_defaults(run=_verify)

    save = commands.add_parser("backup", help="copy the records, also while volbal runs")
    save.add_argument("to", nargs="?", type=Path, metavar="PATH", help="else data/backups")
    save.set_defaults(run=_backup)

    back = commands.add_parser("restore", help="put a backup in place; volbal must not run")
    back.add_argument("backup", nargs="?", help="a name or file; without it they are listed")
    back.set_defaults(run=_restore)

    _add_prices(commands)
    _add_studies(commands)

    warm_up = commands.add_parser("warm-up", help="compile the kernel into its cache")
    warm_up.set_defaults(run=_warm_up)
    return parser


def _add_prices(commands: "argparse._SubParsersAction[_Parser]") -> None:
    prices = commands.add_parser("prices", help="list, fetch, import or delete stored prices")
    actions = prices.add_subparsers(required=True, metavar="ACTION", parser_class=_Parser)

    listed = actions.add_parser("list", help="what is stored and bundled, and how old it is")
    listed.set_defaults(run=_prices_list)

    fetched = actions.add_parser("refresh", help="fetch what is new from Yahoo")
    fetched.add_argument(
        "symbols", nargs="*", metavar="SYMBOL", help="else all fetched before with this interval"
    )
    _add_interval(fetched)
    fetched.set_defaults(run=_prices_refresh)

    imported = actions.add_parser("import", help="store a CSV or Parquet file of prices")
    imported.add_argument("file", type=Path, metavar="FILE")
    imported.add_argument("symbol", nargs="?", metavar="SYMBOL", help="else the file's name")
    _add_date_order(imported)
    imported.add_argument(
        "--replace", action="store_true", help="also where stored bars are lost by it"
    )
    imported.set_defaults(run=_prices_import)

    deleted = actions.add_parser("delete", help="forget the stored prices of a symbol")
    deleted.add_argument("symbol", metavar="SYMBOL")
    _add_interval(deleted)
    deleted.set_defaults(run=_prices_delete)


def _add_studies(commands: "argparse._SubParsersAction[_Parser]") -> None:
    study = commands.add_parser("study", help="run, look at, resume, cancel or export studies")
    actions = study.add_subparsers(required=True, metavar="ACTION", parser_class=_Parser)

    ran = actions.add_parser("run", help="save the study of a TOML file and run it")
    ran.add_argument("file", type=Path, metavar="FILE.toml")
    _add_work(ran)
    ran.set_defaults(run=_study_run)

    listed = actions.add_parser("list", help="all studies, the newest first")
    listed.set_defaults(run=_study_list)

    shown = actions.add_parser("show", help="configuration, state and best cells of a study")
    _add_study(shown)
    shown.add_argument("--symbol", help="one of several; else all pooled")
    shown.add_argument(
        "--sort", default="plateau", metavar="COLUMN", help="a metric, score, … (plateau)"
    )
    shown.add_argument("--top", type=int, default=10, help="cells shown (10)")
    shown.add_argument(
        "--cells", type=int, nargs="+", default=(), metavar="CELL", help="these instead of the best"
    )
    shown.add_argument("--json", action="store_true", help="print it as JSON")
    shown.set_defaults(run=_study_show)

    resumed = actions.add_parser("resume", help="go on; stored cells are not run again")
    _add_study(resumed)
    _add_work(resumed)
    resumed.set_defaults(run=_study_resume)

    cancelled = actions.add_parser(
        "cancel", help="mark an interrupted study cancelled; resume goes on"
    )
    _add_study(cancelled)
    cancelled.set_defaults(run=_study_cancel)

    exported = actions.add_parser("export", help="write every cell to a file")
    _add_study(exported)
    exported.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="ends in .csv, .xlsx, .parquet or .json; .png or .svg for the map",
    )
    exported.add_argument("--symbol", help="one of several; else all pooled")
    exported.set_defaults(run=_study_export)


def _add_study(command: argparse.ArgumentParser) -> None:
    command.add_argument("study", type=int, metavar="ID", help="its number; see study list")


def _add_work(command: argparse.ArgumentParser) -> None:
    command.add_argument("--workers", type=int, help="parallel workers (all cores)")


def _add_interval(command: argparse.ArgumentParser) -> None:
    command.add_argument("--interval", default=DAILY, help="1d, 1h, 30m, 15m, 5m or 1m (1d)")


def _add_date_order(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--dates", choices=DATE_ORDERS, help="of a file's dates such as 03/04/2020"
    )


def _add_setup(command: argparse.ArgumentParser) -> None:
    command.add_argument("symbol", help="a stored or bundled symbol, or any name for --prices")
    command.add_argument("--prices", type=Path, metavar="FILE", help="CSV or Parquet of bars")
    _add_date_order(command)
    _add_interval(command)
    command.add_argument("--policy", type=Path, metavar="FILE", help="policy as .json or .toml")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="one policy field; repeat for more, over --policy",
    )
    command.add_argument("--start", type=_date, metavar="YYYY-MM-DD", help="first session date")
    command.add_argument("--end", type=_date, metavar="YYYY-MM-DD", help="last session date")
    command.add_argument("--capital", type=float, default=10_000.0, help="at the start (10000)")
    command.add_argument(
        "--stock-share", type=float, default=0.5, help="of the capital at the start (0.5)"
    )
    command.add_argument(
        "--ticks",
        default="close",
        help="what the rule sees: close, each bar's close; limit, resting orders within bars too",
    )
    command.add_argument(
        "--pay-lag-days",
        type=int,
        default=21,
        help="calendar days from ex-date to payment where the data has no pay date (21)",
    )


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; write YYYY-MM-DD") from None


def _simulate(options: argparse.Namespace) -> int:
    result = simulate(_history(options), _policy(options), _setup(options))
    if options.json:
        print(json.dumps(result.as_json(), allow_nan=False))
    else:
        print(_simulation_text(result))
    return 0


def _optimize(options: argparse.Namespace) -> int:
    metric = rankable(options.metric).name
    if options.workers is not None and options.workers < 1:
        raise InvalidInput("workers", f"{options.workers} is too few", "allowed: >= 1")
    if options.top < 0:
        raise InvalidInput("top", f"{options.top} is negative", "allowed: >= 0")
    if options.csv and not options.csv.parent.is_dir():
        raise InvalidInput("csv", f"{options.csv.parent} is no folder", "name a file in a folder")
    parameters = tuple(_parameter(text) for text in options.param)
    history, policy, setup = _history(options), _policy(options), _setup(options)
    bar = _ProgressBar()
    result = optimize(history, policy, parameters, setup, bar.show, options.workers)
    best = result.best(metric)
    if options.csv:
        _write_csv(result, options.csv)
    if options.json:
        print(json.dumps(_optimization_json(result, metric, best), allow_nan=False))
    else:
        print(_optimization_text(result, metric, best, options.top))
    return 0


def _warm_up(options: argparse.Namespace) -> int:
    from volbal.engine.kernel import warm_up

    warm_up()
    return 0


def _sql(options: argparse.Namespace) -> int:
    found = maintenance.query(
        Settings.from_environment(), options.statement, seconds=options.seconds, rows=options.rows
    )
    print(maintenance.table_text(found))
    return 0


def _verify(options: argparse.Namespace) -> int:
    text, in_order = maintenance.verify_text(Settings.from_environment())
    print(text)
    return 0 if in_order else DISAGREES


def _backup(options: argparse.Namespace) -> int:
    print(maintenance.backup_text(Settings.from_environment(), options.to))
    return 0


def _restore(options: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    if options.backup:
        print(maintenance.restore_text(settings, options.backup))
    else:
        print(maintenance.backups_text(settings))
    return 0


def _prices_list(options: argparse.Namespace) -> int:
    rows = price_commands.list_text(Settings.from_environment(), datetime.now(UTC))
    print("\n".join(_table(rows, text_columns=(0, 1, 2, 3, 8))))
    return 0


def _prices_refresh(options: argparse.Namespace) -> int:
    failed = False
    for sentence, is_failure in price_commands.refreshed(
        Settings.from_environment(), options.symbols, options.interval
    ):
        if is_failure:
            print(f"volbal: {sentence}", file=sys.stderr, flush=True)
            failed = True
        else:
            print(sentence, flush=True)
    return BAD_INPUT if failed else 0


def _prices_import(options: argparse.Namespace) -> int:
    symbol = options.symbol or options.file.stem
    settings = Settings.from_environment()
    told = price_commands.import_text(
        settings, options.file, symbol, options.dates, lose=options.replace
    )
    print(told)
    return 0


def _prices_delete(options: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    print(price_commands.delete_text(settings, options.symbol, options.interval))
    return 0


def _study_run(options: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    return _print_study(study_commands.run(settings, options.file, options.workers, _show_progress))


def _study_resume(options: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    return _print_study(
        study_commands.resume(settings, options.study, options.workers, _show_progress)
    )


def _print_study(report: study_commands.Report) -> int:
    print(_study_text(report))
    return 0 if report.state is StudyState.COMPLETED else UNFINISHED


def _study_show(options: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    shown = study_commands.Shown(options.symbol, options.sort, options.top, tuple(options.cells))
    if options.json:
        found = study_commands.as_json(settings, options.study, shown)
        print(json.dumps(found, allow_nan=False))
    else:
        print(_study_text(study_commands.report(settings, options.study, shown)))
    return 0


def _study_list(options: argparse.Namespace) -> int:
    rows = study_commands.list_rows(Settings.from_environment())
    print("\n".join(_table(rows, text_columns=(1, 2, 3, 4))))
    return 0


def _study_cancel(options: argparse.Namespace) -> int:
    print(study_commands.cancel_text(Settings.from_environment(), options.study))
    return 0


def _study_export(options: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    file, symbol = options.file, options.symbol
    print(study_commands.export_text(settings, options.study, file, symbol, _map_bytes))
    return 0


def _map_bytes(database: Database, study_id: int, view: View, kind: str) -> bytes:
    logging.disable(logging.WARNING)  # Streamlit misses its server
    try:
        from volbal.ui.study_heatmap import file_bytes

        return file_bytes(database, study_id, view, kind)
    finally:
        logging.disable(logging.NOTSET)


def _study_text(report: study_commands.Report) -> str:
    table = _table(report.rows) if report.rows else []
    parts = (report.head, table, report.foot)
    return "\n\n".join("\n".join(part) for part in parts if part)


def _history(options: argparse.Namespace) -> PriceHistory:
    if options.prices:
        return read_prices(options.prices, options.symbol, options.dates)
    settings = Settings.from_environment()
    found, problem = price_commands.known_history(settings, options.symbol, options.interval)
    if problem:
        print(f"volbal: {problem}", file=sys.stderr)
    return found


def _setup(options: argparse.Namespace) -> Setup:
    return Setup(
        start=options.start,
        end=options.end,
        capital=options.capital,
        stock_share=options.stock_share,
        ticks=options.ticks,
        pay_lag_days=options.pay_lag_days,
    )


def _policy(options: argparse.Namespace) -> Policy:
    policy = Policy()
    if options.policy:
        policy = policy.changed(_read_policy(options.policy))
    return policy.changed(dict(_assignment(text) for text in options.set))


def _read_policy(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("policy", f"{path} cannot be read ({error})", "name a file") from None
    try:
        fields = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except ValueError as error:
        raise InvalidInput(
            "policy", f"{path} does not parse ({error})", "write JSON (.json) or TOML (.toml)"
        ) from None
    if not isinstance(fields, dict):
        raise InvalidInput("policy", f"{path} holds no fields", "write field names and values")
    return fields


def _assignment(text: str) -> tuple[str, Value]:
    name, separator, value = text.partition("=")
    if not separator:
        raise InvalidInput("set", f"{text!r} sets nothing", "write FIELD=VALUE")
    return name.strip(), _value(value.strip())


def _value(text: str) -> Value:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text


def _parameter(text: str) -> Parameter:
    name, _, values = text.partition("=")
    name = name.strip()
    if not values:
        raise InvalidInput("param", f"{text!r} has no values", "write NAME=MIN:MAX:STEP")
    if ":" in values:
        ends = values.split(":")
        if len(ends) != 3:
            raise InvalidInput("param", f"{values!r} is no range", "write NAME=MIN:MAX:STEP")
        return exact_range(name, *ends)
    return Parameter(name, tuple(_value(value.strip()) for value in values.split(",")))


class _ProgressBar:
    """Of a grid, with the seconds it took."""

    def __init__(self) -> None:
        self.started = time.monotonic()

    def show(self, completed: int, total: int) -> None:
        seconds = time.monotonic() - self.started
        _draw_bar(completed, total, f"{completed:,} of {total:,} cells, {seconds:.1f} s")


def _show_progress(progress: Progress) -> None:
    text = f"Study {progress.study_id}: {study_commands.progress_text(progress)}"
    _draw_bar(progress.completed, progress.total, text)


BAR_WIDTH = 40
ERASE_REST = "\x1b[K"


def _draw_bar(completed: int, total: int, text: str) -> None:
    """A bar on the terminal; one closing line where the output is no terminal."""
    if sys.stderr.isatty():
        filled = BAR_WIDTH * completed // total
        bar = "█" * filled + "░" * (BAR_WIDTH - filled)
        print(f"\r{bar} {text}{ERASE_REST}", end="", file=sys.stderr, flush=True)
        if completed == total:
            print(file=sys.stderr)
    elif completed == total:
        print(text, file=sys.stderr)


def _simulation_text(result: Simulation) -> str:
    history = result.prepared.history
    names = ("total_return", "cagr", "volatility", "sharpe_ratio", "max_drawdown")
    curves = {"Strategy": result.metrics | {"final_equity": float(result.recording.equity[-1])}}
    curves |= {label: result.benchmarks[name] for name, label in BENCHMARKS.items()}
    header = ["", "Final value", *(METRIC[name].label for name in names)]
    rows = [
        [
            label,
            money(values["final_equity"]),
            *(metric_text(METRIC[name], values[name]) for name in names),
        ]
        for label, values in curves.items()
    ]
    others = [metric for metric in METRICS if metric.name not in names]
    figures = [
        [metric.label, metric_text(metric, result.metrics[metric.name]), metric.description]
        for metric in others
        if metric.name not in result.undefined
    ]
    return "\n".join(
        [
            f"{result.symbol}, {history.first_date} to {history.last_date}, "
            f"{len(result.recording.fills)} fills",
            "",
            *_table([header, *rows]),
            "",
            *_table(figures, text_columns=(0, 2)),
            *(
                f"{METRIC[name].label}: undefined, {why}."
                for name, why in result.undefined.items()
                if name in METRIC and not name.startswith("bracket")
            ),
            "",
            *result.prepared.assumptions,
        ]
    )


def _optimization_text(result: Optimization, metric: str, best: int, top: int) -> str:
    cells, history = result.cells, result.prepared.history
    parameters = [parameter.name for parameter in result.grid.parameters]
    shown = list(
        dict.fromkeys((metric, "total_return", "excess_return", "max_drawdown", "fill_count"))
    )
    header = ["Rank", *parameters, *(METRIC[name].label for name in shown)]
    rows = [
        [
            str(rank),
            *(value_text(row[name]) for name in parameters),
            *(metric_text(METRIC[name], row[name]) for name in shown),
        ]
        for rank, (_, row) in enumerate(result.ranked(metric).head(top).iterrows(), start=1)
    ]
    valid = int(cells["valid"].sum())
    chosen = ", ".join(
        f"{name} {value_text(value)}" for name, value in result.grid.cell(best).items()
    )
    return "\n".join(
        [
            f"{history.symbol}, {history.first_date} to {history.last_date}: {len(cells):,} cells, "
            f"{valid:,} simulated, {len(cells) - valid:,} invalid",
            f"Best {METRIC[metric].label}: "
            f"{_ascii(metric_text(METRIC[metric], float(cells[metric].iloc[best])))} at {chosen}",
            "",
            *_table([header, *rows]),
            "",
            "The best of many cells is partly luck: the ranking is over one history, unsplit.",
            f"Nothing is recorded: these cells are not among those ever tried on {history.symbol} "
            "that studies count; python -m volbal study run counts and keeps its cells.",
        ]
    )


def _optimization_json(result: Optimization, metric: str, best: int) -> dict[str, Any]:
    history, grid = result.prepared.history, result.grid
    names = [parameter.name for parameter in grid.parameters]
    metrics = [entry.name for entry in METRICS]
    records = result.cells.reset_index().to_dict("records")
    cells = [
        {
            "cell_id": row["cell_id"],
            "parameters": {name: row[name] for name in names},
            "valid": row["valid"],
            "metrics": {name: None if math.isnan(row[name]) else row[name] for name in metrics},
        }
        for row in records
    ]
    return {
        "symbol": history.symbol,
        "start": history.first_date.isoformat(),
        "end": history.last_date.isoformat(),
        "ticks": ",".join(grid.tick_models),
        "metric": metric,
        "direction": METRIC[metric].direction,
        "total": len(cells),
        "invalid": int((~result.cells["valid"]).sum()),
        "best": cells[best],
        "cells": cells,
        "assumptions": list(result.prepared.assumptions),
    }


def _write_csv(result: Optimization, path: Path) -> None:
    """Write every cell; the file appears whole or not at all."""
    unfinished = path.with_name(f".{path.name}.part")
    try:
        result.cells.to_csv(unfinished)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise InvalidInput("csv", f"{path} cannot be written ({error})", "name a file") from None


def _ascii(text: str) -> str:
    """With a hyphen for a minus: not every terminal can print one, and programs read it."""
    return text.replace(MINUS, "-")


def _table(rows: list[list[str]], text_columns: tuple[int, ...] = (0,)) -> list[str]:
    """Lines with aligned columns: text to the left, numbers to the right."""
    rows = [[_ascii(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if index in text_columns else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
