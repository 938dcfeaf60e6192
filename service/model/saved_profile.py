"""A profile that a person set on the page and saved to a file."""

from pathlib import Path

from pydantic import ConfigDict, ValidationError

from service.errors import ModelFileError
from service.model.metadata import DefectClass, ModelMetadata, OperatingPoint, Profile

SUFFIX = ".json"
_ENDING = ".profile.json"


class SavedProfile(OperatingPoint):
    """An operating point with what it was chosen for; the page writes more fields, which are not needed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    based_on: str
    """Name of the profile that the person started from."""
    classes: tuple[DefectClass, ...]
    """Of the model; the values belong to them by order."""

    def point(self) -> OperatingPoint:
        """Return the operating point alone."""
        return OperatingPoint(
            class_threshold=self.class_threshold, threshold=self.threshold, min_area=self.min_area
        )

    def check_classes(self, metadata: ModelMetadata) -> None:
        """Raise a ``ModelFileError`` unless the classes are the model's."""
        if self.classes != metadata.classes:
            expected, got = (
                ", ".join(f"{kind.id} {kind.name}" for kind in kinds)
                for kinds in (metadata.classes, self.classes)
            )
            raise ModelFileError(f"saved profile: expected the model's classes {expected}, got {got}")

    def added_to(self, metadata: ModelMetadata, name: str) -> ModelMetadata:
        """Return a model's metadata with this profile among the others.

        Raises:
            ModelFileError: if the classes differ, the name is taken, or the model computes no masks there.
        """
        self.check_classes(metadata)
        if metadata.profile(name) is not None:
            raise ModelFileError(f"saved profile: expected another name than the model's {name!r}")
        gate = metadata.gate or (0.0,) * len(metadata.classes)
        if any(value < least for value, least in zip(self.class_threshold, gate, strict=True)):
            raise ModelFileError(
                f"saved profile: expected class thresholds of at least {gate}, below which the model "
                f"computes no masks, got {self.class_threshold}"
            )
        added = Profile(
            name=name,
            description=f"set by a person on the page, starting from {self.based_on}",
            tuned_on="nothing",
            measured_on="nothing",
            scores=(),
            **self.point().model_dump(),
        )
        return metadata.model_copy(update={"profiles": (*metadata.profiles, added)})


def is_saved_profile(setting: str) -> bool:
    """Return whether the setting of a profile names a file, not a profile of the model."""
    return setting.endswith(SUFFIX)


def profile_name(setting: str) -> str:
    """Return the name of a profile: a saved one is named by its file."""
    if not is_saved_profile(setting):
        return setting
    name = Path(setting).name
    return name.removesuffix(_ENDING) if name.endswith(_ENDING) else name.removesuffix(SUFFIX)


def read_saved_profile(path: Path) -> SavedProfile:
    """Read a file that the page wrote.

    Raises:
        ModelFileError: if it cannot be read or is none.
    """
    try:
        saved = SavedProfile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ModelFileError(f"saved profile {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ModelFileError(f"saved profile {path}: {place}: {first['msg']}") from error
    lengths = {len(saved.class_threshold), len(saved.threshold), len(saved.min_area)}
    if lengths != {len(saved.classes)}:
        raise ModelFileError(
            f"saved profile {path}: expected {len(saved.classes)} values each, one per class"
        )
    return saved
