"""``check``: read labels of any tool, say what is there, and write the layout that training reads."""

import csv
import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from model_export.data.label_table import Key
from model_export.data.options import BitsOption
from model_export.data.printable import printable
from model_export.errors import DataError, check_least
from model_export.labels.class_list import ClassList, list_classes
from model_export.labels.duplicates import find_duplicates
from model_export.labels.findings import (
    Finding,
    class_findings,
    doubts,
    image_findings,
    label_findings,
    order_of_pixels,
)
from model_export.labels.guess import Dataset, list_dataset, read_source
from model_export.labels.inspect import ImageFacts, inspect_all
from model_export.labels.layout import LayoutImage, check_free, flat_names, write_layout
from model_export.labels.match import Matches, match
from model_export.labels.own_tables import list_groups, list_sets
from model_export.labels.page import finding_lines, page, problem_findings
from model_export.labels.preview import write_previews
from model_export.labels.source import Format, LabelSource, set_of
from service.errors import counted
from service.files import whole_file


@dataclass(frozen=True)
class CheckConfig:
    """Read labelled images of any tool, say what is there, and write the layout that train reads."""

    data: Annotated[Path, tyro.conf.Positional]
    """Folder of the images, and of their labels unless --labels names these."""
    labels: Path | None = None
    """File or folder of labels; default: what the folder of images holds."""
    format: Format | None = None
    """Format of the labels; default: recognised by the files."""
    out: Path | None = None
    """New folder for train.csv, train_images/, classes.json, groups.csv and, if there are sets, split.csv."""
    class_names: tuple[str, ...] = ()
    """Names of the classes in the order of their ids, from 1; default: those of the labels."""
    ignore: tuple[str, ...] = ()
    """Classes, by their names or numbers in the labels, whose masks are left out."""
    order: Literal["columns", "rows"] | None = None
    """How run-length codes number the pixels; default: along columns, and refuse what looks otherwise."""
    trust_clean: bool = False
    """Take images without a label as clean although other labels lack their image."""
    skip_bad: bool = False
    """Leave out images and labels that cannot be used, instead of ending with an error."""
    bits: BitsOption = None
    """Bits that the camera uses of each pixel of a 16-bit file; default: all 16."""
    previews: Path | None = None
    """Folder for pictures of images with their masks."""
    preview_count: int = 24
    """Pictures, of every class and of clean images equally many."""
    findings: Path | None = None
    """CSV file for every finding with every image; the page shows the first ones."""


def check(config: CheckConfig) -> None:
    """Print what a data set holds, and write it in the layout of training.

    Raises:
        DataError: if something cannot be used and is not to be left out; nothing is written then.
    """
    check_least("--preview-count", config.preview_count, 1)
    if config.out is not None:
        check_free(config.out)  # before minutes of work
    dataset = list_dataset(config.data, config.labels)
    source, index = read_source(dataset, config.format, row_major=config.order == "rows")
    matches = match(source, index, trust_clean=config.trust_clean)
    _leave_out_tests(matches, source)
    usable = {path: one for path, one in matches.images.items() if path not in matches.problems}
    inspection = inspect_all(dataset.folder, usable, config.bits)
    problems = {**matches.problems, **{path: [text] for path, text in inspection.problems.items()}}
    if not inspection.facts:
        raise DataError(_nothing(dataset, source, problems))
    facts = _without_ignored(inspection.facts, config.ignore, source)
    classes = list_classes(source, _count(facts), dataset.folder, config.class_names)
    sets = list_sets(dataset, source, matches, facts)
    duplicates = find_duplicates([one.digest for one in facts.values()], inspection.thumbnails)
    findings = [
        *class_findings(classes.classes, *_class_counts(classes, facts), len(facts)),
        *label_findings(matches),
        *image_findings(facts, duplicates, sets),
    ]
    lines = page(dataset.folder, source, classes, facts, sets)
    lines += finding_lines("worth a look", findings)
    lines += finding_lines("cannot be used", problem_findings(problems))
    lines += finding_lines("left out", doubts(matches))
    print(printable("\n".join(lines)))
    if config.findings is not None:
        _write_findings(config.findings, findings, problems)
    if config.previews is not None:
        count = write_previews(
            dataset.folder, facts, classes, config.previews, config.preview_count, config.bits
        )
        print(f"wrote {counted(count, 'picture')} into {config.previews}")
    _refuse(config, problems, matches, facts)
    if config.out is not None:
        groups = list_groups(dataset, inspection, duplicates, matches, sets)
        _write(config.out, dataset, classes, facts, groups, sets)


def _leave_out_tests(matches: Matches, source: LabelSource) -> None:
    """Take images without a label in a folder of test images, which has no labels, as not labelled."""
    labelled = {path.rpartition("/")[0] for path, one in matches.images.items() if one.parts}
    for path in [*matches.images, *matches.doubtful]:
        folder = path.rpartition("/")[0]
        names = folder.casefold().replace("_images", "").split("/")
        if path in source.labels or folder in labelled or not any(set_of(name) == "test" for name in names):
            continue
        matches.images.pop(path, None)
        matches.doubtful = [one for one in matches.doubtful if one != path]
        matches.unlabelled.append(path)


def _nothing(dataset: Dataset, source: LabelSource, problems: Mapping[str, Sequence[str]]) -> str:
    lines = [f"{dataset.folder} holds no image that can be used, by {source.summary}"]
    lines += [f"  {name}: {text}" for name, texts in list(problems.items())[:5] for text in texts]
    return "\n".join(lines)


def _without_ignored(
    facts: Mapping[str, ImageFacts], ignore: Sequence[str], source: LabelSource
) -> dict[str, ImageFacts]:
    """Leave out the masks of classes that are ignored.

    Raises:
        DataError: if the labels have no such class.
    """
    used = {kind for one in facts.values() for kind in one.areas} | set(source.names)
    texts = {str(source.names.get(kind, kind)): kind for kind in used} | {str(kind): kind for kind in used}
    unknown = [name for name in ignore if name not in texts]
    if unknown:
        raise DataError(f"--ignore: the labels have no class {unknown[0]!r}, only {', '.join(sorted(texts))}")
    kinds = {texts[name] for name in ignore}
    if not kinds:
        return dict(facts)
    source.names = {kind: name for kind, name in source.names.items() if kind not in kinds}
    source.ignored[f"images with the classes {', '.join(ignore)}"] += sum(
        bool(kinds & one.areas.keys()) for one in facts.values()
    )
    return {
        path: dataclasses.replace(
            one,
            codes={kind: code for kind, code in one.codes.items() if kind not in kinds},
            areas={kind: area for kind, area in one.areas.items() if kind not in kinds},
        )
        for path, one in facts.items()
    }


def _count(facts: Mapping[str, ImageFacts]) -> Counter[Key]:
    return Counter(kind for one in facts.values() for kind in one.areas)


def _class_counts(classes: ClassList, facts: Mapping[str, ImageFacts]) -> tuple[Counter[int], int]:
    """Return the number of images that show each class, by id, and of those that show none."""
    counts: Counter[int] = Counter()
    clean = 0
    for one in facts.values():
        shown = {classes.ids[kind] for kind in one.areas if kind in classes.ids}
        counts.update(shown)
        clean += not shown
    return counts, clean


def _write_findings(path: Path, findings: Sequence[Finding], problems: Mapping[str, Sequence[str]]) -> None:
    rows = [(name, one.text) for one in findings for name in one.where or ("",)]
    rows += [(name, text) for name, texts in problems.items() for text in texts]
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        whole_file(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        csv.writer(file).writerows([("ImageId", "Finding"), *rows])
    print(f"wrote {path}")


def _refuse(
    config: CheckConfig,
    problems: Mapping[str, Sequence[str]],
    matches: Matches,
    facts: Mapping[str, ImageFacts],
) -> None:
    """Refuse a data set with images or labels that cannot be used, unless they are to be left out.

    Raises:
        DataError: if there are any.
    """
    if config.order is None and order_of_pixels(facts) == "rows":
        raise DataError(
            "the masks look as if their pixels were numbered along rows, where Kaggle numbers them along "
            "columns: --order rows reads them so, --order columns insists"
        )
    if problems and not config.skip_bad:
        raise DataError(
            f"{counted(len(problems), 'image')} or labels cannot be used; --skip-bad leaves them out"
            + (f", and {counted(len(matches.doubtful), 'image')} without a label" if matches.doubtful else "")
        )


def _write(
    out: Path,
    dataset: Dataset,
    classes: ClassList,
    facts: Mapping[str, ImageFacts],
    groups: Mapping[str, str],
    sets: Mapping[str, str | None],
) -> None:
    names = flat_names(list(facts))
    images = {
        names[path]: LayoutImage(
            dataset.folder / path,
            {classes.ids[kind]: code for kind, code in one.codes.items() if kind in classes.ids},
            groups[path],
            sets[path],
        )
        for path, one in facts.items()
    }
    write_layout(images, classes.classes, out)
    count = counted(len(set(groups.values())), "group")
    print(f"wrote {out}: {counted(len(images), 'image')} in {count} of one coil or of duplicates")
