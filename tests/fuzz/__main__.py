"""``python -m tests.fuzz``: the service on the tiny model, and schemathesis over its OpenAPI document."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import tyro

from tests.support.serving import ROOT, free_port, real_server
from tests.support.tiny_model import write_tiny_model

KEY = "fuzz"


@dataclass(frozen=True)
class FuzzConfig:
    """Send requests made up from the OpenAPI document; fail at an undocumented answer or a warning."""

    cases: int = 5000
    """Fewest cases; repeated with other seeds until there were so many."""
    seed: int = 1
    """Of the first round."""


def fuzz(config: FuzzConfig) -> int:
    """Return the number of cases.

    Raises:
        SystemExit: with schemathesis' report, if an answer was wrong or there is a warning.
    """
    with TemporaryDirectory() as folder:
        model = write_tiny_model(Path(folder) / "tiny" / "1" / "model.onnx")
        # Its log is not read here: a line for every request would fill the pipe and stop it.
        with real_server(model, port=free_port(), api_key=KEY, log_level="error", body_timeout_s=2) as server:
            cases, seed = 0, config.seed
            while cases < config.cases:
                cases += _round(server.url, min(2000, config.cases), seed)
                seed += 1
                print(f"{cases} cases, no failure")
            return cases


def _round(url: str, examples: int, seed: int) -> int:
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", "tests/fuzz/schemathesis.toml"),
        *("run", f"{url}/openapi.json", "--header", f"X-API-Key: {KEY}", "--phases", "coverage,fuzzing"),
        *("--max-examples", str(examples), "--seed", str(seed), "--generation-database", "none"),
        *("--continue-on-failure", "--no-color"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    found = re.search(r"(\d+) generated", done.stdout)
    if done.returncode or found is None:
        raise SystemExit(done.stdout + done.stderr)
    return int(found[1])


if __name__ == "__main__":
    fuzz(tyro.cli(FuzzConfig))
