"""The labels of a data set as they are read from a tool's file, before any image is opened."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from model_export.data.label_table import Key
from model_export.labels.parts import Part

Format = Literal["kaggle", "masks", "coco", "yolo", "labelme", "label-studio", "cvat"]
FORMATS: tuple[Format, ...] = get_args(Format)
SetName = Literal["train", "validation", "test"]


@dataclass
class ImageLabels:
    """The labels of one image."""

    parts: list[Part] = field(default_factory=list)
    """None: the image is clean, and the file says so."""
    size: tuple[int, int] | None = None
    """Rows and columns of the image, if the file has them."""
    set: SetName | None = None
    group: str | None = None
    """Coil, if the file names it."""
    problems: list[str] = field(default_factory=list)
    """Why the labels cannot be used."""


@dataclass
class LabelSource:
    """The labels of a data set."""

    format: Format
    summary: str
    """The file that was read, in words."""
    labels: dict[str, ImageLabels] = field(default_factory=dict)
    """By the name of the image, as it is written."""
    names: Mapping[Key, str] = field(default_factory=dict)
    """Names of classes that the file declares, used or not, in its order."""
    unlabelled_is_clean: bool = False
    """Whether an image without a label is clean; otherwise nobody has looked at it."""
    unlabelled: list[str] = field(default_factory=list)
    """Images that the file says nobody has labelled yet."""
    notes: list[str] = field(default_factory=list)
    """What was unusual, and read all the same."""
    ignored: Counter[str] = field(default_factory=Counter)
    """What is no mask and was left out, by kind."""
    not_images: Sequence[str] = ()
    """Pictures of the folder that are masks, relative to it."""

    def of(self, name: str) -> ImageLabels:
        """Return the labels of an image, which is listed if it is not yet."""
        return self.labels.setdefault(name, ImageLabels())


def set_of(text: str) -> SetName | None:
    """Return the set that a folder's or a file's name means; None if it means none."""
    word = text.casefold().strip()
    for name, words in _SETS.items():
        if word in words:
            return name
    return None


_SETS: Mapping[SetName, frozenset[str]] = {
    "train": frozenset(("train", "training", "train2017", "instances_train")),
    "validation": frozenset(("val", "valid", "validation", "dev", "val2017", "instances_val")),
    "test": frozenset(("test", "testing", "test2017", "instances_test")),
}
