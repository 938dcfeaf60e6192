"""Pictures of strips with their masks."""

from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from service.masks.overlay import class_caption, draw_overlay
from steel_client.results import Image


def write_picture(strip: Path, answer: Image, target: Path) -> None:
    """Draw the masks of an answer over its strip, with a legend; write a PNG."""
    with PillowImage.open(strip) as image:
        grey = np.asarray(image.convert("L"))
    masks = {found.result.class_id: found.mask.T for found in answer.present}
    captions = {
        found.result.class_id: class_caption(
            found.result.class_id, found.result.name, found.result.probability
        )
        for found in answer.present
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(draw_overlay(grey, masks, captions))
