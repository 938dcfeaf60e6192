"""Pictures of images with their masks, to look at labels before training."""

from collections.abc import Mapping
from pathlib import Path

from model_export.data.choose import spread_by_class
from model_export.data.kaggle import KaggleStrip
from model_export.data.usable import decode_file
from model_export.labels.class_list import ClassList
from model_export.labels.inspect import ImageFacts
from service.files import whole_file
from service.geometry import BitDepth
from service.masks import rle
from service.masks.overlay import Layer, class_caption, draw_overlay


def write_previews(
    folder: Path,
    facts: Mapping[str, ImageFacts],
    classes: ClassList,
    out: Path,
    count: int,
    bits: BitDepth | None,
) -> int:
    """Write pictures of images with their masks; return how many.

    Args:
        folder: of the data set.
        facts: of its images, by path.
        classes: of the masks.
        out: folder of the pictures, created if it is missing.
        count: pictures, of every class and of clean images equally many.
        bits: of a pixel in 16-bit files.

    Raises:
        OSError: if they cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    ids = [one.id for one in classes.classes]
    images = {}
    for path, one in facts.items():
        codes = {classes.ids[kind]: code for kind, code in one.codes.items() if kind in classes.ids}
        images[folder / path] = KaggleStrip(folder / path, tuple(codes.get(id_, "") for id_ in ids)), path
    chosen = spread_by_class([strip for strip, _ in images.values()], count)
    for strip in chosen:
        path = images[strip.path][1]
        height, width = facts[path].shape
        layers = [
            Layer(
                position,
                class_caption(kind.id, kind.name),
                rle.decode(strip.rles[position], height=height, width=width),
            )
            for position, kind in enumerate(classes.classes)
            if strip.rles[position]
        ]
        picture = draw_overlay(decode_file(strip.path, bits), layers)
        with whole_file(out / f"{path.replace('/', '_')}.png") as unfinished:
            unfinished.write_bytes(picture)
    return len(chosen)
