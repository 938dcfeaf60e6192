"""What training samples are made of besides photographs: pasted, shaped and tiled strips; early stopping."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model_export.data.dataset import SampleIndex, StripDataset
from model_export.data.draw import DrawConfig, draw
from model_export.data.kaggle import read_kaggle
from model_export.data.neu import TileConfig, tile_neu
from model_export.data.paste import PastedStrip, paste
from model_export.data.split import hold_out
from model_export.data.synthetic import DrawnStrip, drawn_strips
from model_export.errors import DataError
from model_export.evaluation.compare import RunScore, paired_change
from model_export.evaluation.mill import BALANCE, mill_weights
from model_export.metrics import Overlap, area_under_roc, class_score, rejected_at_recall
from model_export.network.steel_network import NetworkConfig, SteelNetwork
from model_export.training import checkpoint as checkpoints
from model_export.training.sources import Background, labelled_strips, make_split, training_samples
from model_export.training.train import train
from service.masks import rle
from tests.support.quick_training import QUICK

TINY = replace(
    QUICK,
    network=NetworkConfig(encoder_depth=4, decoder_channels=(8, 4)),
    drawn=5,
    samples_per_epoch=2,
    batch_size=2,
)


# Pasted


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
    assert {index + 1 for index in range(4) if first[1][index].any()} <= donor.classes
    assert (first[0] != second[0]).any()
    np.testing.assert_array_equal(first[0], again[0])


# Beside the defects


def test_background_is_a_defective_strip_where_it_is_clean() -> None:
    strip = DrawnStrip(5, 3)
    background = Background(strip)
    assert strip.classes
    assert background.classes == frozenset()
    assert background.name == f"background-{strip.name}"
    for seed in range(10):
        torch.manual_seed(seed)
        _, masks = StripDataset([background], crop_width=64)[SampleIndex(0, 0)]
        assert not masks.any()


def test_every_kind_of_sample_gets_its_share(tmp_path: Path) -> None:
    draw(DrawConfig(out=tmp_path, count=10))
    config = replace(
        TINY, data=tmp_path, fold=0, drawn_share=0.1, background_share=0.2, pasted_share=0.3, folds=2
    )
    strips = labelled_strips(config)
    samples, groups = training_samples(config, strips, make_split(config, strips))
    kinds = {type(samples[indices[0]]).__name__: share for indices, share in groups}
    shares = {"KaggleStrip": 0.4, "DrawnStrip": 0.1, "Background": 0.2, "PastedStrip": 0.3}
    assert kinds == pytest.approx(shares)


# Shaped and tiled


def test_drawn_defects_take_the_shapes_of_real_ones(tmp_path: Path) -> None:
    lines = ["ImageId,ClassId,EncodedPixels"]
    codes = {}
    for number in range(12):
        mask = np.zeros((1600, 256), dtype=np.bool_)
        mask[100 + number : 180 + number, 20:60] = True
        codes[number] = rle.encode(mask)
        lines.append(f"{number}.jpg,{number % 4 + 1},{codes[number]}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    draw(DrawConfig(out=tmp_path / "shaped", count=10, seed=1, shapes=tmp_path / "labels.csv"))
    strips = read_kaggle(tmp_path / "shaped")
    assert len(strips) == 10
    assert sum(not strip.classes for strip in strips) == 2
    for strip in strips:
        number = int(strip.name.removesuffix(".png").rsplit("-", 1)[1])
        for class_id in strip.classes:
            assert class_id == number % 4 + 1
            assert strip.rles[class_id - 1] == codes[number]
    with pytest.raises(DataError, match="has masks of 12 strips; --count asks for 13"):
        draw(DrawConfig(out=tmp_path / "more", count=13, shapes=tmp_path / "labels.csv"))
    with pytest.raises(DataError, match="no file of labels"):
        draw(DrawConfig(out=tmp_path / "more", shapes=tmp_path / "none.csv"))


def test_neu_images_become_strips(tmp_path: Path) -> None:
    for kind in ("images", "annotations"):
        (tmp_path / kind / "training").mkdir(parents=True)
    for number in range(16):
        pixels = np.full((200, 200), 10 * number, dtype=np.uint8)
        mask = np.zeros((200, 200), dtype=np.uint8)
        mask[190:, :50] = number % 4
        Image.fromarray(pixels).save(tmp_path / "images" / "training" / f"{number:02}.jpg")
        Image.fromarray(mask).save(tmp_path / "annotations" / "training" / f"{number:02}.png")
    tile_neu(TileConfig(source=tmp_path, out=tmp_path / "out"))
    even, odd = read_kaggle(tmp_path / "out")
    assert even.classes == {4}
    assert odd.classes == {1, 3}
    image, masks = odd.load()
    assert abs(int(image[100, 300]) - 30) <= 2
    np.testing.assert_array_equal(np.flatnonzero(masks[0].any(axis=0))[:50], np.arange(50))
    assert masks[0].any(axis=1).nonzero()[0].tolist() == list(range(190, 210))  # mirrored at row 200
    (tmp_path / "annotations" / "training" / "03.png").unlink()
    with pytest.raises(DataError, match="found 16 images, 1 of them without a mask"):
        tile_neu(TileConfig(source=tmp_path, out=tmp_path / "out"))
    Image.fromarray(np.zeros((10, 20), dtype=np.uint8)).save(tmp_path / "annotations" / "training" / "03.png")
    with pytest.raises(DataError, match="is 20x10, 200x200 is wanted"):
        tile_neu(TileConfig(source=tmp_path, out=tmp_path / "out"))


# Folds, starts and stops


def test_a_fold_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="fold 4 of 3 was asked for"):
        hold_out(drawn_strips(6, 0), 3, 4, seed=0)
    everything = hold_out(drawn_strips(6, 0), 3, 0, seed=0)
    assert len(everything.train) == 6
    assert everything.test == ()


def test_a_part_that_the_encoder_lacks_cannot_be_frozen() -> None:
    network = SteelNetwork(NetworkConfig())
    with pytest.raises(ValueError, match=r"no part \['stem'\]; it has conv1, bn1"):
        network.freeze(["stem"])
    network.freeze(["layer1"])
    network.train()
    assert not network.encoder.get_submodule("layer1").training
    assert network.encoder.get_submodule("layer2").training


def test_training_starts_from_another_and_stops_early(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train(replace(TINY, out=tmp_path / "first", epochs=1))
    config = replace(
        TINY,
        out=tmp_path / "second",
        start_from=first,
        epochs=30,
        patience=1,
        validate_every=1,
        learning_rate=0.0,
    )
    second = checkpoints.load(train(config))
    assert "stopped: no better score in 1 validations" in capsys.readouterr().out
    assert checkpoints.load(train(replace(config, resume=True))).epoch == second.epoch
    assert "epoch" not in capsys.readouterr().out
    for name, tensor in checkpoints.load(first).averaged.items():
        if "running" not in name and "tracked" not in name:
            torch.testing.assert_close(second.averaged[name], tensor, msg=name)
    other = replace(config, out=tmp_path / "third", network=NetworkConfig())
    with pytest.raises(DataError, match="holds another network"):
        train(other)


def test_early_stopping_needs_strips_to_go_by(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="with --fold there are none"):
        train(replace(TINY, out=tmp_path, fold=1, patience=1))


def test_options_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--whole-epochs 3 is more than --epochs 2"):
        train(replace(TINY, out=tmp_path, whole_epochs=3))
    with pytest.raises(DataError, match="folds are dealt from photographed strips"):
        train(replace(TINY, out=tmp_path, fold=1))
    with pytest.raises(ValueError, match="do not fill 6 folds"):
        hold_out(drawn_strips(3, 0), 6, 1, seed=0)
    draw(DrawConfig(out=tmp_path / "data", count=8))
    greedy = replace(TINY, data=tmp_path / "data", out=tmp_path, folds=3, drawn_share=0.7, pasted_share=0.4)
    with pytest.raises(ValueError, match="are more than all samples"):
        train(greedy)


def test_a_checkpoint_of_another_version_says_so(tmp_path: Path) -> None:
    torch.save({"config": {}, "weights": {}}, tmp_path / "old.pt")
    with pytest.raises(
        DataError, match=r"written by another version: it has \['weights'\] and lacks \['averaged'"
    ):
        checkpoints.load(tmp_path / "old.pt")


# Measures


def test_the_area_under_the_curve() -> None:
    assert area_under_roc([0.1, 0.2, 0.8, 0.9], [False, False, True, True]) == 1
    assert area_under_roc([0.5, 0.5], [False, True]) == 0.5
    assert area_under_roc([0.9, 0.1], [False, True]) == 0


def test_a_change_is_measured_strip_by_strip() -> None:
    dice = np.full((4, 4), np.nan)
    dice[0, 0], dice[1, 0] = 0.2, 0.8
    dice[2, 1:], dice[3, 1:] = 0.5, 0.5
    first = RunScore(("a", "b", "c", "d"), dice, dice, gate=0.5)
    second = replace(first, best=dice[::-1] + 0.1, keys=("d", "c", "b", "a"))
    change, error = paired_change(first, second)
    assert change == pytest.approx(0.1)
    assert error == pytest.approx(0, abs=1e-9)
    with pytest.raises(DataError, match="held out different strips"):
        paired_change(first, replace(second, keys=("d", "c", "b", "e")))


def test_what_a_gate_rejects() -> None:
    positives, negatives = [0.1, 0.4, 0.5, 0.6, 0.7], [0.05, 0.2, 0.3, 0.9]
    flags = [True] * 5 + [False] * 4
    assert rejected_at_recall(positives + negatives, flags, 1.0) == (0.1, 0.25)
    assert rejected_at_recall(positives + negatives, flags, 0.8) == (0.4, 0.75)


def test_weights_bring_strips_to_the_balance_of_the_mill() -> None:
    strips = drawn_strips(30, 0)
    weights, covered = mill_weights(strips)
    assert sum(weights) == pytest.approx(len(strips))
    clean = sum(weight for weight, strip in zip(weights, strips, strict=True) if not strip.classes)
    present = sum(BALANCE.get(classes, 0) for classes in {strip.classes for strip in strips})
    assert clean / len(strips) == pytest.approx(BALANCE[frozenset()] / present)
    assert covered == pytest.approx(present / sum(BALANCE.values()))


def test_a_strip_counts_as_much_as_its_weight() -> None:
    overlaps = [Overlap(10, 10, 10), Overlap(0, 10, 0), Overlap(5, 0, 0), Overlap(0, 0, 0)]
    score = class_score(1, overlaps, [3, 1, 1, 4])
    assert score.dice_positive == pytest.approx(0.75)
    assert score.recall == pytest.approx(0.75)
    assert score.false_alarm_rate == pytest.approx(0.2)
    assert score.dice_kaggle == pytest.approx(7 / 9)
    assert class_score(1, overlaps[:2], [1, 1]).false_alarm_rate is None
