"""The ledger's proofs at full size; the test suite runs the same ones smaller.

    python bench/soak_ledger.py [same_key] [kills] [life] [replay] [burst] [--small]

Without names all of them. Prints one line a proof with what was measured and stops at the first
that fails. --small: sizes that finish in about two minutes, to try the command itself.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests"), str(PROJECT / "tests" / "proofs")]

import kills
import life
import same_key
from books import NOW, a_cell, opened

from volbal.domain.configuration import Configuration
from volbal.domain.policy import Policy
from volbal.services import trading, verify


def soak_same_key(folder: Path, small: bool) -> str:
    rounds = 50 if small else 1_000
    with opened(folder / "same_key.duckdb") as database:
        same_key.prove(database, rounds)
        assert verify.verify(database) == []
    return f"{rounds} rounds of 50 threads with one key: {rounds} orders"


def soak_kills(folder: Path, small: bool) -> str:
    each = 10 if small else 500
    with ThreadPoolExecutor(2) as pool:
        folders, seeds = [folder / "one", folder / "two"], [random.randrange(10**9), 2]
        results = list(pool.map(kills.prove, folders, [each, each], seeds))
    orders = sum(result.orders for result in results)
    slowest = max(result.slowest_open for result in results)
    assert slowest <= 2.0
    return (
        f"{2 * each} kills, {orders} orders: 0 lost, 0 double, 0 half, 0 unbalanced; "
        f"slowest reopening {slowest:.2f} s"
    )


def soak_life(_: Path, small: bool) -> str:
    steps = life.prove(1_000 if small else 100_000)
    return f"{steps} random steps: stored = model = fold after each"


def soak_replay(folder: Path, small: bool) -> str:
    import replay

    ticks, largest = 0, 0.0
    with opened(folder / "replay.duckdb") as database:
        for seed in range(3 if small else 200):
            compared = replay.prove(database, replay.random_story(seed, days=60))
            ticks, largest = ticks + compared.ticks, max(largest, compared.largest_error)
        if not small:
            story = replay.real_story("AAPL", date(2000, 3, 1), date(2014, 12, 31), Policy())
            compared = replay.prove(database, story)
            ticks, largest = ticks + compared.ticks, max(largest, compared.largest_error)
        assert verify.verify(database) == []
    return f"{ticks} ticks lived and simulated: largest distance {largest:.1e} of equity"


def soak_burst(folder: Path, small: bool) -> str:
    count = 200 if small else 1_000
    unlimited = Configuration(Policy(max_orders_per_day=10**9))
    with opened(folder / "burst.duckdb") as database:
        position_id = a_cell(database, configuration=unlimited).position_id
        began = time.perf_counter()
        for number in range(count):
            trading.submit(database, position_id, key=f"{number}", side="BUY", quantity=1, now=NOW)
        rate = count / (time.perf_counter() - began)
        assert len(trading.list_orders(database, position_id)) == count
    return f"{count} orders through the lease: {rate:.0f} orders/s"


SOAKS: dict[str, Callable[[Path, bool], str]] = {
    "burst": soak_burst,
    "same_key": soak_same_key,
    "replay": soak_replay,
    "life": soak_life,
    "kills": soak_kills,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("proofs", nargs="*", help=f"any of {', '.join(SOAKS)}")
    parser.add_argument("--small", action="store_true")
    given = parser.parse_args()
    for name in given.proofs or SOAKS:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="volbal-soak-") as folder:
            told = SOAKS[name](Path(folder), given.small)
        print(f"{name}: {told} ({time.perf_counter() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
