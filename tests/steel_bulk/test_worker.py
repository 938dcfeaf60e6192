"""Weight of a worker process."""

import subprocess
import sys

from tests.support.serving import ROOT


def test_a_worker_loads_no_web_framework() -> None:
    code = "import steel_bulk.worker, sys; print({'fastapi', 'starlette', 'uvicorn'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
