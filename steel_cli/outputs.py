"""What is made of each answered file besides the line of the journal."""

from collections.abc import Callable, Collection
from pathlib import Path

from steel_cli.answer import Answer, printable
from steel_cli.pictures import Pictures, picture_name
from steel_cli.strips import Strips, otherwise_shown

PICTURES, STRIPS = "pictures", "strips"
_LABELS = {"coco", "label-studio"}

_MOST_NAMES = 3
"""Of files in a message."""


class Outputs:
    """Pictures and copies of strips, and a note of files that labelling tools show otherwise.

    Args:
        out: folder of the run.
        formats: those that are wanted; others are ignored.
        bits: of a pixel in 16-bit files, if they are known.
        say: takes messages for the operator.
    """

    def __init__(
        self, out: Path, formats: Collection[str], bits: str | None, say: Callable[[str], None]
    ) -> None:
        self._say = say
        self._pictures = Pictures(out / PICTURES, bits, say) if PICTURES in formats else None
        self._copies = out / STRIPS
        self._strips = Strips(self._copies, bits, say) if STRIPS in formats else None
        self._labels = self._strips is None and not _LABELS.isdisjoint(formats)
        self._otherwise: dict[str, str] = {}
        """Reasons by name of a file."""

    @property
    def wanted(self) -> bool:
        """Whether there is anything to write or to note."""
        return self._pictures is not None or self._strips is not None or self._labels

    def label_name(self, name: str) -> str:
        """Return the path of the file that a labelling tool shows."""
        return name if self._strips is None else picture_name(name)

    def save(self, answer: Answer) -> None:
        """Write what is made of an answer."""
        if self._pictures is not None:
            self._pictures.save(answer)
        self._save_strip(answer)

    def complete(self, answer: Answer) -> None:
        """Write what is missing of an answer of an earlier run."""
        if self._pictures is not None:
            self._pictures.complete(answer)
        self._save_strip(answer)

    def _save_strip(self, answer: Answer) -> None:
        if answer.image is None:
            return
        if self._strips is not None:
            self._strips.save(answer.strip, answer.image)
        elif self._labels and (reason := otherwise_shown(answer.strip.data)):
            self._otherwise[answer.strip.name] = reason

    def say_otherwise(self) -> None:
        """Name files whose masks a labelling tool would not show in place."""
        if not self._otherwise:
            return
        reasons = [f"{printable(name)}: {reason}" for name, reason in self._otherwise.items()]
        more = len(reasons) - _MOST_NAMES
        shown = ", ".join(reasons[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
        self._say(
            f"labelling tools do not show these files as the service reads them ({shown}); add strips to "
            f"--write and let the tool show the copies in {self._copies}"
        )
