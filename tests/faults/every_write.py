"""``LD_PRELOAD=… python -m tests.faults.every_write OUT IMPORT COMMAND…``: a command and each of its changes.

From its n-th change of the folder OUT on, the disk is full; then the command runs again, with room.
``{out}`` in the command is a folder of its own for each n. IMPORT is a module that the command needs: every
run is a child of this process. Prints a JSON object for each n: the two runs. The environment variable EVERY
makes it every third n, say, of a command that changes much.
"""

import ctypes
import importlib
import json
import os
import runpy
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

_MOST = 200
"""Changes; a command that makes more never ends here."""


class Run(NamedTuple):
    """What came of a command."""

    code: int
    text: str
    """Standard output and error."""
    changes: int
    """Of the folder, those that failed included."""


def main(out: Path, module: str, arguments: list[str]) -> None:
    library = ctypes.CDLL(None)
    folder = ctypes.create_string_buffer(os.fsencode(out), 4096)
    ctypes.memmove(ctypes.addressof((ctypes.c_char * 4096).in_dll(library, "full_below")), folder, 4096)
    for number in range(1, _MOST, int(os.environ.get("EVERY", "1"))):
        own = out / f"{number:03}"
        filled = [argument.replace("{out}", str(own)) for argument in arguments]
        first = _run(library, module, filled, number)
        second = _run(library, module, filled, 0)
        print(json.dumps({"out": str(own), "full": first, "again": second}), flush=True)
        if first.changes < number:
            return
    raise AssertionError(f"expected fewer than {_MOST} changes")


def _run(library: ctypes.CDLL, module: str, arguments: list[str], full_from: int) -> Run:
    """Run a command in a child, which has imported what it needs."""
    with tempfile.TemporaryFile() as output:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            ctypes.c_int.in_dll(library, "full_from").value = full_from
            ctypes.c_int.in_dll(library, "full_seen").value = 0
            sys.argv = [module, *arguments]
            code: object = 0
            try:
                runpy.run_module(module, run_name="__main__", alter_sys=True)
            except SystemExit as error:
                code = error.code
                if isinstance(code, str):
                    print(code, file=sys.stderr)
            except BaseException as error:
                sys.excepthook(type(error), error, error.__traceback__)
                code = 1
            sys.stdout.flush()
            os.write(writer, str(ctypes.c_int.in_dll(library, "full_seen").value).encode())
            os._exit(code if isinstance(code, int) else int(code is not None))
        os.close(writer)
        _, status = os.waitpid(child, 0)
        changes = int(os.read(reader, 20) or b"0")
        os.close(reader)
        output.seek(0)
        text = output.read().decode(errors="replace")
        return Run(os.waitstatus_to_exitcode(status), text, changes)


if __name__ == "__main__":
    for name in ("service.model.session", "tyro", sys.argv[2]):
        importlib.import_module(name)
    main(Path(sys.argv[1]), sys.argv[3], sys.argv[4:])
