"""What a training says of its epochs: a CSV file, TensorBoard, and a line to read."""

import csv
from collections.abc import Sequence
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from model_export.metrics import mean_of
from service.geometry import CLASS_COUNT
from service.model.metadata import ClassScore

_OF_CLASSES = ("dice_positive", "recall", "false_alarm_rate")
COLUMNS = (
    *("epoch", "learning_rate", "seconds", "waiting_share", "loss", "mask_loss", "class_loss"),
    *(f"{name}_{class_id}" for class_id in range(1, CLASS_COUNT + 1) for name in _OF_CLASSES),
    "dice_positive",
)
"""Of ``metrics.csv``; an epoch that was not validated leaves the scores empty."""


class TrainingLog:
    """Rows of ``metrics.csv`` and TensorBoard's log, an epoch each.

    Args:
        folder: where to write.
        start: epochs that are done; rows of later ones are dropped, for they will be run (again).
    """

    def __init__(self, folder: Path, start: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "metrics.csv"
        self._forget_after(start)
        self._board = SummaryWriter(folder / "tensorboard", purge_step=start + 1)

    def add(self, row: dict[str, float]) -> None:
        """Write an epoch and print the line that people read."""
        new = not self._path.exists()
        with self._path.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if new:
                writer.writeheader()
            writer.writerow(
                dict.fromkeys(COLUMNS, "") | {name: f"{value:.6g}" for name, value in row.items()}
            )
        for name, value in row.items():
            self._board.add_scalar(name, value, int(row["epoch"]))
        tail = f", validation Dice+ {row['dice_positive']:.3f}" if "dice_positive" in row else ""
        print(
            f"epoch {int(row['epoch'])}: loss {row['loss']:.3f}, {row['seconds']:.0f} s, "
            f"{row['waiting_share']:.1%} of it waiting for data{tail}",
            flush=True,
        )

    def close(self) -> None:
        """Write out what TensorBoard still holds."""
        self._board.close()

    def _forget_after(self, epoch: int) -> None:
        if not self._path.exists():
            return
        with self._path.open(newline="") as file:
            kept = [row for row in csv.DictReader(file) if int(row["epoch"]) <= epoch]
        with self._path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(kept)


def score_columns(scores: Sequence[ClassScore]) -> dict[str, float]:
    """Write scores as columns of a row."""
    columns: dict[str, float] = {}
    for score in scores:
        for name in _OF_CLASSES:
            value = getattr(score, name)
            columns[f"{name}_{score.class_id}"] = float("nan") if value is None else value
    columns["dice_positive"] = mean_of([s.dice_positive for s in scores]) or 0.0
    return columns
