"""Attempts per part, limited: a strip may crash the process that decodes it."""

from collections.abc import Sequence

from steel_bulk.locations import Location
from steel_bulk.parts import part_name

ATTEMPTS = "tries"
"""Folder beside the parts. Its name stays: runs that were started by earlier versions have it."""
_MOST = 5


class WorkerDiedError(Exception):
    """A part crashed its worker in every attempt."""


class Attempts:
    """Counters of attempts, in files beside the parts, which outlive a worker.

    Args:
        out: folder of the run.
    """

    def __init__(self, out: Location) -> None:
        self._location = out.subfolder(ATTEMPTS)

    def clear(self) -> None:
        """Remove all counters: a run that was killed as a whole says nothing about its strips."""
        for name in self._location.names():
            self._location.remove(name)

    def begin(self, part: int) -> int:
        """Count one more attempt at a part.

        Returns:
            Attempts so far, this one included.

        Raises:
            WorkerDiedError: if there were enough; names the strips at which the last one ended.
        """
        count, _, names = (self._location.read(part_name(part)) or b"0").decode().partition("\n")
        if int(count) >= _MOST:
            raise WorkerDiedError(
                f"part {part} crashed its worker {count} times, last on one of these: {names}; move the bad "
                "one away and start again, its row will say that it was not there"
            )
        self._location.write(part_name(part), str(int(count) + 1).encode())
        return int(count) + 1

    def record(self, part: int, count: int, names: Sequence[str]) -> None:
        """Record which strips are predicted next, if this is not the first attempt at the part."""
        if count > 1:
            self._location.write(part_name(part), f"{count}\n{', '.join(names)}".encode())

    def end(self, part: int) -> None:
        """Remove the counter of a part that was written."""
        self._location.remove(part_name(part))
