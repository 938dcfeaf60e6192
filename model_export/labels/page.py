"""The page that ``check`` prints."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from model_export.data.classes import Classes
from model_export.labels.class_list import ClassList
from model_export.labels.findings import Finding
from model_export.labels.inspect import ImageFacts
from model_export.labels.source import LabelSource
from service.errors import counted

_SHOWN = 4
"""Names after a finding."""
_WIDTH = 110


def class_table(classes: Classes, ids: Mapping[str | int, int], facts: Mapping[str, ImageFacts]) -> list[str]:
    """Return the table of classes: images and the part of an image that their masks cover."""
    shares: dict[int, list[float]] = {one.id: [] for one in classes}
    for fact in facts.values():
        pixels = fact.shape[0] * fact.shape[1]
        areas: Counter[int] = Counter()
        for kind, area in fact.areas.items():
            if kind in ids:
                areas[ids[kind]] += area
        for number, area in areas.items():
            shares[number].append(area / pixels)
    width = max(len(one.name) for one in classes)
    lines = [f"  {'id':>4}  {'class':<{width}}  images   area of a mask: median, largest"]
    for one in classes:
        found = shares[one.id]
        sizes = f"{np.median(found):7.2%}  {max(found):7.2%}" if found else f"{'-':>7}  {'-':>7}"
        lines.append(f"  {one.id:>4}  {one.name:<{width}}  {len(found):>6}   {sizes}")
    return lines


def size_lines(facts: Mapping[str, ImageFacts]) -> list[str]:
    """Return sizes and brightness of the images."""
    counts = Counter(one.shape for one in facts.values())
    sizes = ", ".join(f"{width}x{height} ({count})" for (height, width), count in counts.most_common(4))
    more = f" and {len(counts) - 4} other sizes" if len(counts) > 4 else ""
    levels = np.array([one.brightness for one in facts.values()])
    low, middle, high = np.percentile(levels, (5, 50, 95))
    return [
        f"sizes        {sizes}{more}",
        f"brightness   {middle:.0f} (median of mean grey values; 5 to 95 %: {low:.0f} to {high:.0f})",
    ]


def finding_lines(title: str, findings: Sequence[Finding]) -> list[str]:
    """Return findings with the first names of each."""
    lines = [title] if findings else []
    for one in findings:
        lines.append(f"  - {one.text}")
        lines += [f"      {name}" for name in one.where[:_SHOWN]]
        if len(one.where) > _SHOWN:
            lines.append(f"      and {len(one.where) - _SHOWN} more")
    return lines


def problem_findings(problems: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Return problems of images, those of one kind together."""
    kinds: dict[str, list[str]] = {}
    for name, texts in problems.items():
        for text in texts:
            kinds.setdefault(_kind(text), []).append(f"{name}: {text}")
    return [
        Finding(f"{counted(len(where), 'image')}: {kind}", where)
        for kind, where in sorted(kinds.items(), key=lambda item: -len(item[1]))
    ]


def _kind(text: str) -> str:
    """Return the first words of a problem, which those of the same kind share."""
    words = text.split(": ")[-1] if ": " in text and len(text.split(": ")[0].split()) < 3 else text
    start = words.split(", got ")[0]
    return re.sub(r"\d+", "…", start)[:70]


def page(
    folder: Path,
    source: LabelSource,
    classes: ClassList,
    facts: Mapping[str, ImageFacts],
    sets: Mapping[str, str | None],
) -> list[str]:
    """Return what a data set holds: its format, images, sets and classes.

    Args:
        folder: of the data set.
        source: its labels.
        classes: of the labels.
        facts: of the images, by path.
        sets: training, validation or test, by path.
    """
    clean = sum(not classes.ids.keys() & one.areas.keys() for one in facts.values())
    lines = [
        f"{folder}: {source.summary}",
        f"images       {len(facts)}, {clean} of them clean",
        *size_lines(facts),
    ]
    shown = Counter(one for one in sets.values() if one is not None)
    if shown:
        lines.append("sets         " + ", ".join(f"{name} {count}" for name, count in shown.items()))
    lines += class_table(classes.classes, classes.ids, facts)
    notes = [*source.notes, *classes.notes]
    notes += [f"ignored, {text}: {count}" for text, count in source.ignored.items() if count]
    return lines + finding_lines("read all the same", [Finding(note) for note in notes])
