"""Weight of the library: what importing it loads."""

import subprocess
import sys

from tests.support.serving import ROOT

HEAVY = {"fastapi", "starlette", "shapely", "pycocotools", "PIL", "onnxruntime", "service"}


def test_the_library_loads_nothing_of_the_service() -> None:
    code = f"import steel_client, sys; print({HEAVY} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
