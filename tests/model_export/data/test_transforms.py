"""Augmentations."""

import pickle

import pytest
import torch
from torchvision import tv_tensors

from model_export.data.transforms import AUGMENTATIONS, BlackBorder, Noise, build_transform


def test_a_transform_can_be_sent_to_a_worker() -> None:
    """It is pickled if processes are not forked: macOS, Windows, Python 3.14."""
    transform = pickle.loads(pickle.dumps(build_transform(list(AUGMENTATIONS))))
    image, masks = torch.zeros((1, 64, 96), dtype=torch.uint8), torch.zeros((4, 64, 96), dtype=torch.uint8)
    assert transform(image, masks)[0].shape == image.shape


def test_black_stays_black_and_nothing_black_comes_in() -> None:
    torch.manual_seed(0)
    image = torch.full((1, 256, 512), 120, dtype=torch.uint8)
    image[..., :100] = 0
    masks = torch.zeros((4, 256, 512), dtype=torch.uint8)
    for _ in range(20):
        assert not build_transform(["exposure"])(image, masks)[0][..., :100].any()
        moved = build_transform(["affine"])(image, masks)[0]
        assert (moved[0, :, 200:] > 100).all()


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_image_and_masks_move_as_one(name: str) -> None:
    """The bright rectangle of the image is that of the mask, before and after."""
    transform = build_transform([name])
    torch.manual_seed(1)
    for _ in range(12):
        image = torch.full((1, 64, 128), 40, dtype=torch.uint8)
        masks = torch.zeros((4, 64, 128), dtype=torch.uint8)
        image[0, 10:30, 20:60] = 200
        masks[2, 10:30, 20:60] = 1
        moved, moved_masks = transform(image, masks)
        assert type(moved) is torch.Tensor
        assert (moved.dtype, moved_masks.dtype) == (torch.uint8, torch.uint8)
        assert set(moved_masks.flatten().tolist()) <= {0, 1}
        inside = moved_masks[2].bool()
        bright = moved[0].float() > 2 * moved[0].float().median()
        assert (bright != inside).float().mean() < 0.05
        assert not moved_masks[[0, 1, 3]].any()


def test_a_black_border_empties_the_mask() -> None:
    torch.manual_seed(0)
    image, masks = build_transform([])(
        torch.ones((1, 8, 64), dtype=torch.uint8), torch.ones((4, 8, 64), dtype=torch.uint8)
    )
    assert image.all()
    assert masks.all()
    params = BlackBorder().make_params([image])
    assert not BlackBorder().transform(image, params)[..., params["columns"]].any()


def test_an_unknown_augmentation_is_named() -> None:
    with pytest.raises(ValueError, match=r"expected augmentations of hflip, .* got \['shake'\]"):
        build_transform(["hflip", "shake"])


@pytest.mark.parametrize("size", [(256, 1600), (256, 512), (256, 32)])
def test_no_corner_of_a_rotated_strip_is_black(size: tuple[int, int]) -> None:
    """At the ends of a whole strip a rotation moves most."""
    image = torch.full((1, *size), 120, dtype=torch.uint8)
    masks = torch.zeros((4, *size), dtype=torch.uint8)
    affine = build_transform(["affine"])
    for seed in range(40):
        torch.manual_seed(seed)
        assert affine(image, masks)[0].min() == 120


def test_noise_does_not_darken() -> None:
    torch.manual_seed(0)
    image = tv_tensors.Image(torch.full((1, 256, 512), 100, dtype=torch.uint8))
    means = [float(Noise(8.0)(image).float().mean()) for _ in range(20)]
    assert sum(means) / len(means) == pytest.approx(100, abs=0.05)
