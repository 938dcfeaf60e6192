"""What is worth saying about a data set before training."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from model_export.data.classes import Classes
from model_export.labels.duplicates import Duplicates
from model_export.labels.inspect import ImageFacts
from model_export.labels.match import Matches
from service.errors import counted

_WIDE_BORDER = 0.02
"""Share of an image from which on its black border is said."""
_BLACK, _WHITE = 10.0, 245.0
"""Mean grey values beyond which an image shows nothing."""
_FEW = 20
"""Images of a class below which it hardly trains."""
_WHOLE = 0.95
"""Share of an image from which on a mask is suspect."""


@dataclass(frozen=True)
class Finding:
    """One kind of thing that was found, and where."""

    text: str
    where: Sequence[str] = field(default=())


def image_findings(
    facts: Mapping[str, ImageFacts], duplicates: Duplicates, sets: Mapping[str, str | None]
) -> list[Finding]:
    """Return what stands out among images and masks.

    Args:
        facts: of the images, by path.
        duplicates: among them, in their order.
        sets: training, validation or test, by path.
    """
    paths = list(facts)
    found = [
        _black_borders(facts),
        _named(
            "too dark or too bright to show steel", facts, lambda one: not _BLACK < one.brightness < _WHITE
        ),
        _named("one grey value everywhere", facts, lambda one: one.contrast < 0.5),
        _named("with a part of a label that has no pixel", facts, lambda one: one.empty > 0),
        _named("with a mask over nearly the whole image", facts, _is_covered),
        *_repeated(duplicates.equal, paths, facts, sets),
        *_alike(duplicates.similar, paths, facts, sets),
        *_mixed_order(facts),
    ]
    return [one for one in found if one is not None]


def _named(text: str, facts: Mapping[str, ImageFacts], holds: Callable[[ImageFacts], bool]) -> Finding | None:
    where = [path for path, one in facts.items() if holds(one)]
    return Finding(f"{counted(len(where), 'image')} {text}", where) if where else None


def _is_blank(one: ImageFacts) -> bool:
    return not _BLACK < one.brightness < _WHITE


def _is_covered(one: ImageFacts) -> bool:
    return any(area > _WHOLE * one.shape[0] * one.shape[1] for area in one.areas.values())


def _black_borders(facts: Mapping[str, ImageFacts]) -> Finding | None:
    where = [path for path, one in facts.items() if one.border >= _WIDE_BORDER]
    if not where:
        return None
    shares = [facts[path].border for path in where]
    return Finding(
        f"{counted(len(where), 'image')} with a black border, of {np.median(shares):.0%} on average and "
        f"{max(shares):.0%} at most",
        where,
    )


def _repeated(
    groups: Sequence[Sequence[int]],
    paths: Sequence[str],
    facts: Mapping[str, ImageFacts],
    sets: Mapping[str, str | None],
) -> list[Finding]:
    if not groups:
        return []
    copies = [paths[index] for group in groups for index in group]
    found = [Finding(f"{len(copies)} images are {len(groups)} by their pixels: copies", copies)]
    differing = [
        paths[index]
        for group in groups
        if len({tuple(sorted(facts[paths[one]].codes.items(), key=str)) for one in group}) > 1
        for index in group
    ]
    if differing:
        found.append(
            Finding(f"{len(differing)} of these copies have other labels than their twins", differing)
        )
    apart = _apart(groups, paths, sets)
    if apart:
        found.append(
            Finding(f"{len(apart)} of these copies are in several of training, validation and test", apart)
        )
    return found


def _apart(
    groups: Sequence[Sequence[int]], paths: Sequence[str], sets: Mapping[str, str | None]
) -> list[str]:
    return [
        paths[index]
        for group in groups
        if len({sets.get(paths[one]) for one in group}) > 1
        for index in group
    ]


def _alike(
    similar: Sequence[Sequence[int]],
    paths: Sequence[str],
    facts: Mapping[str, ImageFacts],
    sets: Mapping[str, str | None],
) -> list[Finding]:
    groups = [group for group in similar if len({facts[paths[index]].digest for index in group}) > 1]
    if not groups:
        return []
    where = [paths[index] for group in groups for index in group]
    found = [Finding(f"{len(where)} images in {counted(len(groups), 'group')} of near-duplicates", where)]
    apart = _apart(groups, paths, sets)
    if apart:
        found.append(
            Finding(f"{len(apart)} near-duplicates are in several of training, validation and test", apart)
        )
    return found


def _mixed_order(facts: Mapping[str, ImageFacts]) -> list[Finding]:
    rows = [path for path, one in facts.items() if one.row_major]
    if not rows or order_of_pixels(facts) != "columns":
        return []
    return [
        Finding(
            f"{counted(len(rows), 'image')} whose mask looks as if its pixels were numbered along rows", rows
        )
    ]


def order_of_pixels(facts: Mapping[str, ImageFacts]) -> str | None:
    """Return along what pixels are numbered, by the looks of masks: rows, columns, or None if unclear."""
    votes = Counter(one.row_major for one in facts.values() if one.row_major is not None)
    if not votes:
        return None
    return "rows" if votes[True] > votes[False] else "columns"


def class_findings(classes: Classes, images: Counter[int], clean: int, total: int) -> list[Finding]:
    """Return what the numbers of images mean for training.

    Args:
        classes: of the data set.
        images: that show a class, by id.
        clean: images without a defect.
        total: all images.
    """
    found = []
    if total == 1:
        found.append(Finding("a single image: nothing is left to validate or to test on"))
    if clean == total:
        found.append(Finding("only clean images: there is no defect to learn"))
    elif clean == 0:
        found.append(Finding("no clean image: false alarms can be neither learnt from nor measured"))
    if clean < total:
        absent = [one.name for one in classes if not images[one.id]]
        few = [f"{one.name} ({images[one.id]})" for one in classes if 0 < images[one.id] < _FEW]
        if absent:
            found.append(Finding(f"no image of the class {', '.join(absent)}: it cannot be learnt"))
        if few:
            found.append(Finding(f"fewer than {_FEW} images of the class {', '.join(few)}"))
    return found


def label_findings(matches: Matches) -> list[Finding]:
    """Return what became of labels without an image and images without a label."""
    found = []
    if matches.renamed:
        found.append(
            Finding(
                f"{counted(len(matches.renamed), 'image')} whose name the label file writes otherwise",
                [f"{path} (written {name})" for path, name in matches.renamed.items()],
            )
        )
    if matches.unlabelled:
        found.append(
            Finding(
                f"{counted(len(matches.unlabelled), 'image')} without a label, left out: nobody says that "
                "they are clean",
                matches.unlabelled,
            )
        )
    return found


def doubts(matches: Matches) -> list[Finding]:
    """Return images without a label that do not count as clean, since labels lack their image."""
    if not matches.doubtful:
        return []
    return [
        Finding(
            f"{counted(len(matches.doubtful), 'image')} without a label: "
            f"{counted(len(matches.orphans), 'label')} without an image may be theirs under another name; "
            "--trust-clean takes them as clean",
            matches.doubtful,
        )
    ]
