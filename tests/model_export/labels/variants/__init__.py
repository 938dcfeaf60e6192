"""Label files as people and tools write them: a table of variants."""

from tests.model_export.labels.variants import (
    coco,
    cvat,
    images,
    kaggle,
    label_studio,
    labelme,
    masks,
    yolo,
)

VARIANTS = [
    variant
    for module in (kaggle, images, masks, coco, yolo, labelme, label_studio, cvat)
    for variant in module.VARIANTS
]
