"""JSON that tools wrote."""

import json
from pathlib import Path
from typing import Any

from model_export.errors import DataError


def read_json(path: Path) -> Any:
    """Read a file of JSON.

    Raises:
        DataError: naming the file and the place, if it is none.
        OSError: if the file cannot be read.
    """
    data = path.read_bytes()
    try:
        return json.loads(data.decode("utf-8-sig", "surrogatepass"))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not valid JSON: {error.reason} at byte {error.start}") from error
    except RecursionError as error:
        raise DataError(f"{path} is not valid JSON of a label tool: nested too deeply") from error
    except ValueError as error:
        raise DataError(f"{path} is not valid JSON: {error}") from error
