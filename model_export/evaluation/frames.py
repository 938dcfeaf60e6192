"""Answers of a model for images of any size, tile by tile as the service infers them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model_export.data.tile import Shape, Tile, cut_frame
from model_export.evaluation.torch_session import SupportsInfer
from service.geometry import Strip
from service.model.metadata import OperatingPoint
from service.model.postprocess import ClassMask, apply_operating_point, apply_to_frame, tile_answer
from service.model.session import Probabilities
from service.model.tiles import TilePlan, blend_maps, combine_classes


@dataclass(frozen=True, slots=True)
class FramePrediction:
    """The answer of a model for one image."""

    shape: Shape
    """Rows and columns of the image."""
    plan: TilePlan
    tiles: Sequence[Probabilities]
    """In the order of the plan."""

    def whole(self) -> Probabilities:
        """Return the probabilities of the image, with every tile in every class's map.

        An operating point leaves out tiles on which a class is not present; see ``at``.
        """
        height, width = self.shape
        if len(self.tiles) == 1:
            return Probabilities(self.tiles[0].classes, self.tiles[0].masks[:, :width, :height])
        masks = blend_maps(self.plan, [tile.masks for tile in self.tiles])[:, :width, :height]
        return Probabilities(combine_classes(np.stack([tile.classes for tile in self.tiles])), masks)

    def at(self, point: OperatingPoint, class_ids: Sequence[int]) -> list[ClassMask]:
        """Return the masks of the image, as the service answers it at an operating point."""
        height, width = self.shape
        if len(self.tiles) == 1:
            return apply_operating_point(*self.whole(), point, class_ids)
        answers = [tile_answer(tile.classes, tile.masks, point) for tile in self.tiles]
        return [found for found, _ in apply_to_frame(self.plan, answers, (width, height), point, class_ids)]


def predict_image(session: SupportsInfer, image: Strip, tile: Tile, name: str) -> FramePrediction:
    """Run an image, uint8 ``[height, width]``.

    Args:
        session: of the model.
        image: of any size that the tile allows.
        tile: of the model.
        name: of the image, for messages.

    Raises:
        DataError: if the image is too small.
    """
    frame = cut_frame(image, tile, name)
    return FramePrediction(frame.shape, frame.plan, session.infer(frame.tiles))
