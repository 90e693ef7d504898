"""`python bench/api_schema.py [EXAMPLES]`: the API against its own description, by schemathesis.

Starts volbal on fresh records with one of everything in them (number 1), then sends cases that fit
the description and cases that break it to every operation, with all of schemathesis's checks. One
thing is told to it: 422 may answer a request that fits the schema, because JSON Schema cannot say
that money has at most 6 decimals or that one guardrail lies below the other. Ends with
schemathesis's exit code.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import httpx
from e2e.conftest import served

from volbal.api.optimization_models import EXAMPLE

CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "422", "503"]

[checks.not_a_server_error]
expected-statuses = ["2xx", "4xx", "503"]

[[operations]]
include-name = "DELETE /v1/optimization/configs/{config_id}"
parameters = { config_id = 2 }

[[operations]]
include-name = "POST /v1/positions/{position_id}/close"
parameters = { position_id = 2 }
"""
"""What everything else is asked about is not taken away."""


def prepare(url: str) -> None:
    """One of everything, so that requests for number 1 find it."""
    with httpx.Client(base_url=url, timeout=60) as client:
        position = {"ticker": "ACME", "qty": 50, "cash": 5000, "anchor_price": 100}
        steps: list[tuple[str, object]] = [
            ("/v1/positions", position),
            ("/v1/positions", position),
            ("/v1/positions/1/orders", {"side": "BUY", "qty": 10}),
            ("/v1/positions/1/dividends", {"ex_on": "2026-01-02", "per_share": 0.5}),
            ("/v1/positions/1/evaluate", {"price": 100}),
            ("/v1/optimization/configs", EXAMPLE),
            ("/v1/optimization/configs", EXAMPLE),
            ("/v1/optimization/configs/1/start", None),
        ]
        for step, (path, body) in enumerate(steps):
            key = {"Idempotency-Key": f"step {step}"}
            client.post(path, json=body, headers=key).raise_for_status()


def main(examples: str) -> int:
    folder = Path(tempfile.mkdtemp())
    (folder / "schemathesis.toml").write_text(CONFIG, encoding="utf-8")
    program = str(Path(sys.executable).with_name("schemathesis"))
    command = [program, "--config-file", str(folder / "schemathesis.toml"), "run"]
    cases = ["--checks", "all", "--max-examples", examples, "--seed", "7"]
    with served(folder / "volbal.duckdb") as url:
        prepare(url)
        done = subprocess.run([*command, f"{url}/openapi.json", *cases], cwd=folder, check=False)
    print((folder / "server.log").read_text(encoding="utf-8")[-3000:])
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:] or ["60"]))
