"""The terminal from which the process was started."""

import os
import signal

HANGUP = getattr(signal, "SIGHUP", None)
"""None on Windows."""


class Terminal:
    """The controlling terminal of the process when it started, if there was one.

    A process whose terminal is closed gets the signal with which others request a reload. One that was
    started by ``nohup``, which ignores the signal, shall outlive its terminal: it counts as started without.
    """

    def __init__(self) -> None:
        ignored = HANGUP is not None and signal.getsignal(HANGUP) == signal.SIG_IGN
        self._attached = not ignored and _is_attached()

    @property
    def gone(self) -> bool:
        """Whether there was a terminal and is none now."""
        return self._attached and not _is_attached()


def _is_attached() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
