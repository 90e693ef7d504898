"""`python -m bench.api [CLIENTS] [SECONDS]`: the API under load, and whether anything got lost.

CLIENTS at once submit orders (a third of them twice, under one key), fill them and evaluate, over
20 positions, against a real server on fresh records. Prints requests/s and latencies. Once the
server has ended the ledger's file is read and compared with what every client was told: an order
or fill that was confirmed and is not there is lost, one that is there more often than it was asked
for is double; then `python -m volbal verify` recomputes every balance.
"""

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import duckdb
import httpx

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from e2e.conftest import served

POSITIONS = 20
SHARES, CASH, PRICE = 10**6, 10**8, 100


class Told:
    """What the server has confirmed, and how long it took."""

    def __init__(self) -> None:
        self.orders: dict[tuple[int, str], int] = {}
        self.fills: dict[tuple[int, str], int] = {}
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.contradictions: list[str] = []

    def keep(self, known: dict[tuple[int, str], int], key: tuple[int, str], number: int) -> None:
        if known.setdefault(key, number) != number:
            self.contradictions.append(f"{key} is {known[key]} and {number}")


async def asked(
    client: httpx.AsyncClient, told: Told, what: str, path: str, body: object, key: str = ""
) -> httpx.Response:
    began = time.perf_counter()
    headers = {"Idempotency-Key": key} if key else {}
    while True:
        try:
            response = await client.post(path, json=body, headers=headers)
            break
        except httpx.TransportError:  # an idle connection was closed: what a key is for
            told.statuses[what, 0] += 1
    told.seconds[what].append(time.perf_counter() - began)
    told.statuses[what, response.status_code] += 1
    return response


async def life(
    client: httpx.AsyncClient, told: Told, number: int, places: list[int], until: float
) -> None:
    """One client: submit, fill, evaluate, again and again."""
    chance, step = random.Random(number), 0
    while time.monotonic() < until:
        step += 1
        position, key = chance.choice(places), f"{number}-{step}"
        order = {"side": chance.choice(["BUY", "SELL"]), "qty": 1}
        path = f"/v1/positions/{position}/orders"
        times = 2 if chance.random() < 1 / 3 else 1
        sent = [asked(client, told, "submit", path, order, key) for _ in range(times)]
        for response in await asyncio.gather(*sent):
            if response.status_code in (200, 201):
                told.keep(told.orders, (position, key), response.json()["order_id"])
        made = told.orders.get((position, key))
        if made is not None:
            fill = {"price": PRICE, "filled_qty": 1, "commission": 0.01}
            sent = [
                asked(client, told, "fill", f"/v1/orders/{made}/fill", fill, key)
                for _ in range(times)
            ]
            for response in await asyncio.gather(*sent):
                if response.status_code == 200:
                    told.keep(told.fills, (made, key), response.json()["fill_id"])
        price = {"price": PRICE + chance.choice([-2, 0, 2])}
        await asked(client, told, "evaluate", f"/v1/positions/{position}/evaluate", price)


async def load(url: str, clients: int, seconds: float) -> Told:
    """Run it, print how fast it went, and return what was confirmed."""
    limits = httpx.Limits(max_connections=clients * 2)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        start = {
            "ticker": "ACME",
            "qty": SHARES,
            "cash": CASH,
            "anchor_price": PRICE,
            "guardrails": {"max_orders_per_day": 10**9},
        }
        made = [(await client.post("/v1/positions", json=start)).json() for _ in range(POSITIONS)]
        places, told = [one["id"] for one in made], Told()
        began = time.monotonic()
        until = began + seconds
        await asyncio.gather(
            *(life(client, told, number, places, until) for number in range(clients))
        )
        report(told, time.monotonic() - began)
        return told


def report(told: Told, seconds: float) -> None:
    count = sum(map(len, told.seconds.values()))
    print(f"{count:,} requests in {seconds:.1f} s: {count / seconds:,.0f} requests/s")
    for what, taken in sorted(told.seconds.items()):
        taken.sort()
        at = [
            taken[min(int(len(taken) * part), len(taken) - 1)] * 1000 for part in (0.5, 0.95, 0.99)
        ]
        answers = {status: n for (name, status), n in sorted(told.statuses.items()) if name == what}
        print(f"{what:9} p50 {at[0]:6.0f} ms  p95 {at[1]:6.0f} ms  p99 {at[2]:6.0f} ms  {answers}")


def audited(told: Told, records: Path) -> bool:
    """Compare the ledger's file with what was told; True where they agree."""
    with duckdb.connect(str(records), read_only=True) as ledger:
        orders = ledger.execute(
            "select position_id, idempotency_key, order_id from orders"
        ).fetchall()
        fills = ledger.execute("select order_id, fill_key, fill_id from fills").fetchall()
        moved = ledger.execute(
            """
            select p.position_id, p.quantity, coalesce(sum(if(f.side = 'BUY', f.quantity,
                -f.quantity)), 0)
            from positions as p left join fills as f using (position_id) group by all
            """
        ).fetchall()
    lost, double = 0, 0
    for rows, confirmed in ((orders, told.orders), (fills, told.fills)):
        there = Counter(rows)
        lost += sum((*key, number) not in there for key, number in confirmed.items())
        double += len(rows) - len({(place, key) for place, key, _ in rows})
    wrong = list(told.contradictions)
    wrong += [f"position {n} holds {q}" for n, q, sum_ in moved if q != SHARES + sum_]
    print(
        f"{len(told.orders):,} orders and {len(told.fills):,} fills confirmed, {len(orders):,} and "
        f"{len(fills):,} in the ledger: {lost} lost, {double} double, "
        f"{len(wrong)} contradictions {wrong[:3] or ''}"
    )
    return not (lost or double or wrong)


def verified(environment: dict[str, str]) -> bool:
    command = [sys.executable, "-m", "volbal", "verify"]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


def main(clients: str = "200", seconds: str = "60") -> int:
    folder = Path(tempfile.mkdtemp())
    records = folder / "volbal.duckdb"
    with served(records) as url:
        told = asyncio.run(load(url, int(clients), float(seconds)))
    print((folder / "server.log").read_text(encoding="utf-8")[-2000:])
    agreed = audited(told, records)
    return 0 if verified(os.environ | {"VOLBAL_DB": str(records)}) and agreed else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
