"""`python bench/api_schema.py [EXAMPLES]`: the API against its own description, by schemathesis.

Starts volbal on fresh records, then sends cases that fit the description and cases that break it
to every operation, with all of schemathesis's checks. One thing is told to it: 422 may answer a
request that fits the schema, because JSON Schema cannot say that money has at most 6 decimals or
that one guardrail lies below the other. Ends with schemathesis's exit code.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from e2e.conftest import free_port, wait_until_healthy

CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "422", "503"]

[checks.not_a_server_error]
expected-statuses = ["2xx", "4xx", "503"]
"""


def main(examples: str) -> int:
    folder = Path(tempfile.mkdtemp())
    (folder / "schemathesis.toml").write_text(CONFIG, encoding="utf-8")
    port, log = free_port(), folder / "server.log"
    options = ["--server.port", str(port), "--server.headless", "true"]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", *options],
            cwd=ROOT,
            env=os.environ | {"VOLBAL_DB": str(folder / "volbal.duckdb")},
            stdout=output,
            stderr=output,
        ) as server,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_healthy(url, server, log)
            command = ["--config-file", str(folder / "schemathesis.toml"), "run"]
            cases = ["--checks", "all", "--max-examples", examples, "--seed", "7"]
            program = str(Path(sys.executable).with_name("schemathesis"))
            return subprocess.run(
                [program, *command, f"{url}/openapi.json", *cases], check=False
            ).returncode
        finally:
            server.terminate()
            server.wait(30)
            print(log.read_text(encoding="utf-8")[-3000:])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:] or ["60"]))
