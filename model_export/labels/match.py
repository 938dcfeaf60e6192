"""Join labels with their images, so that a label without an image makes no image clean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from model_export.data.image_index import ImageIndex, plain_form
from model_export.errors import DataError
from model_export.labels.source import ImageLabels, LabelSource


@dataclass
class Matches:
    """The images of a data set with their labels."""

    images: dict[str, ImageLabels] = field(default_factory=dict)
    """By path; only those that are labelled, clean ones included."""
    problems: dict[str, list[str]] = field(default_factory=dict)
    """Why labels cannot be used, by the path of the image or, if there is none, by its written name."""
    orphans: list[str] = field(default_factory=list)
    """Labels whose image is missing, as they are written."""
    unlabelled: list[str] = field(default_factory=list)
    """Images that nobody has labelled."""
    doubtful: list[str] = field(default_factory=list)
    """Images without a label that would count as clean, if no label were without an image."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Images whose name is written otherwise in the label file, with that name."""


def match(source: LabelSource, index: ImageIndex, *, trust_clean: bool) -> Matches:
    """Find the image of each label.

    Args:
        source: the labels.
        index: of the images.
        trust_clean: whether images without a label are clean even if labels lack their image.
    """
    found = Matches()
    names: dict[str, list[str]] = {}
    for name in source.labels:
        try:
            names.setdefault(index.find(name), []).append(name)
        except DataError as error:
            found.orphans.append(name)
            found.problems[name] = [str(error)]
    open_tasks = set()
    for name in source.unlabelled:
        try:
            open_tasks.add(index.find(name))
        except DataError:
            continue  # neither labelled nor there
    for path, written in names.items():
        if len({plain_form(name) for name in written}) > 1:
            found.problems[path] = [f"labelled under several names: {', '.join(written)}"]
            continue
        labels = _joined([source.labels[name] for name in written])
        if labels.problems:
            found.problems[path] = labels.problems
        found.images[path] = labels
    without = [path for path in index.paths if path not in names]
    found.unlabelled = [path for path in without if path in open_tasks or not source.unlabelled_is_clean]
    rest = [path for path in without if path not in open_tasks and source.unlabelled_is_clean]
    if any(source.labels[name].parts for name in found.orphans) and not trust_clean:
        found.doubtful = rest
    else:
        found.images |= {path: ImageLabels() for path in rest}
    found.renamed = {
        path: written[0] for path, written in names.items() if written[0].rsplit("/", 1)[-1] != _last(path)
    }
    return found


def _last(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _joined(several: Sequence[ImageLabels]) -> ImageLabels:
    """Join labels of one image, whose name is written in several ways."""
    first, *others = several
    for other in others:
        first.parts += other.parts
        first.problems += other.problems
    return first
