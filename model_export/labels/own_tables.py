"""Sets and groups of images: the data set's own, else those that the images show."""

from collections.abc import Mapping

from model_export.data.groups import merge_groups
from model_export.data.split import group_profiles
from model_export.data.tables import read_table
from model_export.labels.duplicates import Duplicates
from model_export.labels.guess import Dataset
from model_export.labels.inspect import ImageFacts, Inspection
from model_export.labels.match import Matches
from model_export.labels.source import LabelSource


def list_sets(
    dataset: Dataset, source: LabelSource, matches: Matches, facts: Mapping[str, ImageFacts]
) -> dict[str, str | None]:
    """Return training, validation or test by image; None where nothing says it.

    ``split.csv`` beside the labels decides, else the labels themselves.
    """
    own = _own_table(dataset, "split.csv", "Set")
    sets = {path: own.get(path) if own else matches.images[path].set for path in facts}
    lacking = [path for path, one in sets.items() if one is None]
    if lacking and len(lacking) < len(sets):
        source.notes.append(f"images in no set, which therefore train: {len(lacking)}")
        sets |= dict.fromkeys(lacking, "train")
    return sets


def _own_table(dataset: Dataset, name: str, column: str) -> dict[str, str]:
    """Return a column of the data set's own table, by image."""
    path = dataset.folder / name
    if not path.is_file():
        return {}
    values = {row["ImageId"]: row[column] for _, row in read_table(path, ("ImageId", column))}
    return {file: values[last] for file in dataset.files if (last := file.rsplit("/", 1)[-1]) in values}


def list_groups(
    dataset: Dataset,
    inspection: Inspection,
    duplicates: Duplicates,
    matches: Matches,
    sets: Mapping[str, str | None],
) -> dict[str, str]:
    """Return the group of each image: the data set's own, else images with alike streaks and duplicates.

    A guessed group does not reach across the data set's own sets, which training would refuse.
    """
    paths = list(inspection.facts)
    own = _own_table(dataset, "groups.csv", "Group")
    given = {path: own.get(path) or matches.images[path].group for path in paths}
    if all(given.values()):
        return {path: str(one) for path, one in given.items()}
    coils = group_profiles(inspection.profiles)
    found = merge_groups(len(paths), coils, duplicates.equal, duplicates.similar)
    width = len(str(len(found)))
    ends = {path: "" if own_set is None else f"-{own_set}" for path, own_set in sets.items()}
    return {
        paths[index]: f"group-{number:0{width}d}{ends[paths[index]]}"
        for number, group in enumerate(found, 1)
        for index in group
    }
