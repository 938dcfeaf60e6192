"""Splits and folds that keep the strips of one coil together."""

import itertools

import numpy as np
import pytest

from model_export.data.labelled_strip import CLEAN
from model_export.data.split import (
    assign_folds,
    group_strips,
    link_threshold,
    similarity,
    split_fold,
    split_strips,
    streak_profile,
)
from model_export.data.synthetic import drawn_strips


class Frame:
    """A photograph of a coil: its streaks with a shift of light and noise of its own."""

    def __init__(self, coil: int, frame: int, classes: set[int]) -> None:
        self.name = f"coil{coil}-{frame}.png"
        self.classes = frozenset(classes)
        self.coil, self.frame = coil, frame

    def load(self) -> tuple[np.ndarray, np.ndarray]:
        streaks = np.random.default_rng(self.coil).normal(0, 12, 200).repeat(8)
        rng = np.random.default_rng((self.coil, self.frame))
        strip = 100 + 20 * rng.random() + streaks + rng.normal(0, 6, (256, 1600))
        return strip.clip(0, 255).astype(np.uint8), np.zeros((4, 256, 1600), dtype=np.bool_)


COILS = [Frame(coil, frame, {coil % 5 - 1} - {CLEAN}) for coil in range(15) for frame in range(3)]


def test_frames_of_one_coil_are_one_group() -> None:
    groups = group_strips(COILS)
    assert [[COILS[i].coil for i in group] for group in groups] == [[coil] * 3 for coil in range(15)]


def test_folds_keep_coils_together_and_spread_classes() -> None:
    folds = assign_folds(COILS, 3, seed=0)
    assert sorted(itertools.chain(*folds)) == list(range(45))
    for one, other in itertools.combinations(folds, 2):
        assert not {COILS[i].coil for i in one} & {COILS[i].coil for i in other}
    for fold in folds:
        assert {min(COILS[i].classes, default=CLEAN) for i in fold} == {CLEAN, 0, 1, 2, 3}
    split = split_strips(COILS, 3, seed=0)
    assert len(split.train) == len(split.validation) == len(split.test) == 15
    assert split == split_strips(COILS, 3, seed=0)


def test_frames_that_are_shifted_are_still_one_coil() -> None:
    profiles = np.stack([streak_profile(np.roll(COILS[0].load()[0], shift, axis=1)) for shift in (0, 24)])
    assert float(similarity(profiles[:1], profiles[1:])[0, 0]) > 0.9
    assert float(profiles[0] @ profiles[1]) < 0.4


def test_black_beyond_the_edge_makes_no_coils_alike() -> None:
    strips = [COILS[0].load()[0].copy(), COILS[3].load()[0].copy()]
    for strip in strips:
        strip[:, :700] = 0
    profiles = np.stack([streak_profile(strip) for strip in strips])
    assert float(similarity(profiles[:1], profiles[1:])[0, 0]) < 0.5


def test_chance_links_stay_rare_however_many_strips_there_are() -> None:
    """Unrelated profiles, smooth as real ones are: a fixed threshold would join most of them."""
    rng = np.random.default_rng(0)
    kernel = np.exp(-0.5 * (np.arange(-9, 10) / 3) ** 2)
    profiles = np.stack([np.convolve(rng.normal(size=200), kernel, mode="same") for _ in range(600)])
    profiles -= profiles.mean(axis=1, keepdims=True)
    profiles /= np.linalg.norm(profiles, axis=1, keepdims=True)
    links = similarity(profiles, profiles) > link_threshold(profiles)
    np.fill_diagonal(links, False)
    assert links.sum() / 600 < 0.3
    assert (similarity(profiles, profiles) > 0.45).sum() / 600 > 3


def test_a_giant_group_trains_and_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    frames = [Frame(99, number, {3}) for number in range(20)] + COILS[:15]
    split = split_strips(frames, 3, seed=0)
    assert {name for name in split.train if name.startswith("coil99")} == {f.name for f in frames[:20]}
    assert "20 of 35 strips look like one coil" in capsys.readouterr().out


def test_folds_that_cannot_be_filled() -> None:
    with pytest.raises(ValueError, match="2 strips do not fill 3 folds"):
        split_strips(COILS[:6:3], 3, seed=0)


def test_a_split_takes_three_folds() -> None:
    with pytest.raises(ValueError, match="3 folds or more, got 2"):
        split_strips(COILS, 2, seed=0)


def test_a_profile_does_not_mind_brightness() -> None:
    strip = COILS[0].load()[0] // 2
    assert float(streak_profile(strip) @ streak_profile(strip + 40)) > 0.95


def test_a_fold_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="got fold 4 of 3"):
        split_fold(drawn_strips(6, 0), 3, 4, seed=0)
    everything = split_fold(drawn_strips(6, 0), 3, 0, seed=0)
    assert len(everything.train) == 6
    assert everything.test == ()
