"""Defects pasted into other strips."""

import numpy as np
import torch

from model_export.data.paste import PastedStrip, paste
from model_export.data.synthetic import DrawnStrip


def test_a_defect_is_pasted_with_its_contrast() -> None:
    host = np.full((256, 1600), 50, dtype=np.uint8)
    strip = np.full((256, 1600), 100, dtype=np.uint8)
    masks = np.zeros((4, 256, 1600), dtype=np.bool_)
    masks[2, 100:140, 500:540] = True
    strip[masks[2]] = 160
    pasted, truth = paste(host, strip, masks)
    np.testing.assert_array_equal(truth, masks)
    assert (pasted[masks[2]] == 80).all()  # 160 against 100 is 80 against 50
    assert (pasted[:80] == 50).all()
    assert (pasted[:, :460] == 50).all()


def test_nothing_is_pasted_beyond_the_edge() -> None:
    host = np.full((256, 1600), 90, dtype=np.uint8)
    host[:, 800:] = 0
    strip = np.full((256, 1600), 200, dtype=np.uint8)
    masks = np.zeros((4, 256, 1600), dtype=np.bool_)
    masks[3, :, 700:900] = True
    pasted, truth = paste(host, strip, masks)
    assert truth[3, :, 700:790].all()
    assert not truth[:, :, 810:].any()
    assert (pasted[:, 810:] == 0).all()
    masks[:, :, :820] = False
    unchanged, empty = paste(host, strip, masks)
    assert not empty.any()
    np.testing.assert_array_equal(unchanged, host)


def test_every_load_is_another_picture() -> None:
    donor, host = DrawnStrip(5, 3), DrawnStrip(5, 0)
    strip = PastedStrip(donor, [host])
    torch.manual_seed(0)
    first, second = strip.load(), strip.load()
    torch.manual_seed(0)
    again = strip.load()
    assert strip.classes == donor.classes
    assert strip.name == f"pasted-{donor.name}"
    assert {index for index in range(4) if first[1][index].any()} <= donor.classes
    assert (first[0] != second[0]).any()
    np.testing.assert_array_equal(first[0], again[0])
