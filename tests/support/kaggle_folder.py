"""Two strips in the layout of Kaggle."""

from pathlib import Path

import numpy as np
from PIL import Image

NEW = "ImageId,ClassId,EncodedPixels\na.png,1,1 3\na.png,3,257 2\n"


def write_kaggle_folder(folder: Path) -> Path:
    """Write two strips: a.png with two classes, b.png clean."""
    images = folder / "train_images"
    images.mkdir()
    for name, value in (("a.png", 10), ("b.png", 20)):
        Image.fromarray(np.full((256, 1600), value, dtype=np.uint8)).save(images / name)
    (folder / "train.csv").write_text(NEW)
    return folder
