"""``python -m tests.faults.watch_until COUNT OUT ARGUMENTS…``: ``steel watch`` until COUNT answers.

Then Ctrl+C ends it, as a person would.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

from steel_cli.__main__ import main


def interrupt_after(count: int, journal: Path) -> None:
    """Send SIGINT to this process once the journal has so many lines."""
    while not journal.is_file() or journal.read_bytes().count(b"\n") < count:
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    count, out = int(sys.argv[1]), Path(sys.argv[2])
    arguments = ("watch", *sys.argv[3:], "--out", str(out))
    threading.Thread(target=interrupt_after, args=(count, out / "predictions.jsonl"), daemon=True).start()
    sys.argv = ["steel", *arguments]
    main()
