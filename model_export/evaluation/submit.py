"""Kaggle's submission.csv for a folder of images."""

import csv
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from model_export.data.kaggle import IMAGE_SUFFIXES, DataError, read_image
from service.masks import rle
from service.model.postprocess import segment
from service.model.repository import find_model
from service.model.session import OrtSession


@dataclass(frozen=True)
class SubmitConfig:
    """Write Kaggle's submission.csv for a folder of images: four rows per image."""

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
    threads: int | None = None
    """Processors for one inference."""


def submit(config: SubmitConfig) -> None:
    """Write a submission; an image that cannot be read stops with its name, and nothing is written."""
    if not config.images.is_dir():
        raise DataError(f"there is no folder {config.images}")
    paths = sorted(path for path in config.images.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise DataError(f"{config.images} holds no image ({', '.join(IMAGE_SUFFIXES)})")
    session = OrtSession(find_model(config.model), threads=config.threads)
    point = session.metadata.profile(config.profile)
    if point is None:
        raise DataError(f"the model has no profile {config.profile!r}")
    rows: list[list[str]] = []
    masks = 0
    for path in tqdm(paths, "predicting", unit="strip", dynamic_ncols=True):
        answer = session.infer([read_image(path)])[0]
        for found in segment(answer.classes, answer.masks, point):
            code = "" if found.mask is None else rle.encode(found.mask)
            masks += bool(code)
            class_id = str(found.class_id)
            rows.append([f"{path.name}_{class_id}", code] if config.old_form else [path.name, code, class_id])
    header = (
        ["ImageId_ClassId", "EncodedPixels"] if config.old_form else ["ImageId", "EncodedPixels", "ClassId"]
    )
    config.out.parent.mkdir(parents=True, exist_ok=True)
    with config.out.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    print(f"wrote {config.out}: {len(paths)} images, {masks} masks")
