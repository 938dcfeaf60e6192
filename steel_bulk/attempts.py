"""How often a part was begun: a strip that ends the process which decodes it must not do so for ever."""

from collections.abc import Sequence

from steel_bulk.locations import Place
from steel_bulk.parts import part_name

TRIES = "tries"
_MOST = 5


class WorkerDiedError(Exception):
    """A part ended its worker every time."""


class Tries:
    """Counts in files beside the parts, which outlive a worker.

    Args:
        out: folder of the run.
    """

    def __init__(self, out: Place) -> None:
        self._place = out.below(TRIES)

    def clear(self) -> None:
        """Forget them all: who kills a whole run says nothing about its strips."""
        for name in self._place.names():
            self._place.remove(name)

    def begin(self, part: int) -> int:
        """Count one more try of a part.

        Returns:
            The tries so far, this one included.

        Raises:
            WorkerDiedError: if there were enough, with the strips at which the last one ended.
        """
        count, _, names = (self._place.read(part_name(part)) or b"0").decode().partition("\n")
        if int(count) >= _MOST:
            raise WorkerDiedError(
                f"part {part} ended its worker {count} times, last on one of these: {names}; move the bad "
                "one away and start again, its row will say that it was not there"
            )
        self._place.write(part_name(part), str(int(count) + 1).encode())
        return int(count) + 1

    def note(self, part: int, count: int, names: Sequence[str]) -> None:
        """Write down which strips are answered next, if the part was tried before."""
        if count > 1:
            self._place.write(part_name(part), f"{count}\n{', '.join(names)}".encode())

    def end(self, part: int) -> None:
        """Forget a part that was written."""
        self._place.remove(part_name(part))
