"""``submit``: Kaggle's submission.csv for a folder of images."""

from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from model_export.data.kaggle import list_images, read_image
from model_export.data.options import BitsOption
from model_export.data.tile import Tile
from model_export.errors import DataError, check_least
from model_export.evaluation.frames import predict_image
from service.errors import counted
from service.images.suffixes import IMAGE_SUFFIXES
from service.masks import rle
from service.masks.submission import write_submission
from service.model.repository import find_model
from service.model.session import OrtSession


@dataclass(frozen=True)
class SubmitConfig:
    """Write Kaggle's submission.csv for a folder of images: a row for each class of each image."""

    images: Path
    """Folder of images, e.g. test_images."""
    out: Path = Path("submission.csv")
    """The file to write."""
    model: Path = Path("models/steel-unet-resnet18-fast")
    """An ONNX file or a folder <name>/<version>/model.onnx."""
    profile: str = "kaggle"
    """The operating point."""
    old_form: bool = False
    """Columns ImageId_ClassId,EncodedPixels instead of ImageId,EncodedPixels,ClassId."""
    bits: BitsOption = None
    """Bits that the camera uses of each pixel of a 16-bit file; default: all 16."""
    threads: int | None = None
    """Threads per inference."""


def submit(config: SubmitConfig) -> None:
    """Write a submission.

    Raises:
        DataError: if the folder holds no image, an image cannot be read or the model lacks the profile;
            nothing is written then.
    """
    check_least("--threads", config.threads, 1)
    if not config.images.is_dir():
        raise DataError(f"there is no folder {config.images}")
    paths = list_images(config.images)
    if not paths:
        raise DataError(f"{config.images} holds no image ({', '.join(IMAGE_SUFFIXES)})")
    session = OrtSession(find_model(config.model), threads=config.threads)
    point = session.metadata.profile(config.profile)
    if point is None:
        raise DataError(f"the model has no profile {config.profile!r}")
    tile = Tile.of(session.metadata)
    rows: list[tuple[str, int, str]] = []
    for path in tqdm(paths, "predicting", unit="strip", dynamic_ncols=True):
        prediction = predict_image(session, read_image(path, config.bits), tile, path.name)
        for found in prediction.at(point, session.metadata.class_ids):
            rows.append((path.name, found.class_id, "" if found.mask is None else rle.encode(found.mask)))
    config.out.parent.mkdir(parents=True, exist_ok=True)
    write_submission(config.out, rows, old_form=config.old_form)
    masks = sum(bool(code) for _, _, code in rows)
    print(f"wrote {config.out}: {counted(len(paths), 'image')}, {counted(masks, 'mask')}")
