from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kills


def test_fifty_kills_under_load_lose_double_halve_and_unbalance_nothing(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(kills.prove, folders, [25, 25], [1, 2]))
    assert sum(result.kills for result in results) == 50
    assert all(result.in_flight > 0 for result in results)
