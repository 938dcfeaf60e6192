"""The log of a training: metrics.csv, TensorBoard and a printed line per epoch."""

import csv
from collections.abc import Sequence
from pathlib import Path

from model_export.metrics import mean_or_none
from model_export.training.board import Board
from model_export.training.mlflow_run import MlflowRun
from model_export.training.pictures import Example, draw_example
from service.files import about, whole_file
from service.model.metadata import ClassScore

_CLASS_SCORES = ("dice_positive", "recall", "false_alarm_rate")


def columns(class_ids: Sequence[int]) -> tuple[str, ...]:
    """Return the columns of ``metrics.csv``; scores are empty in an epoch without validation."""
    return (
        *("epoch", "learning_rate", "seconds", "waiting_share", "loss", "mask_loss", "class_loss"),
        "validation_loss",
        *(f"{name}_{class_id}" for class_id in class_ids for name in _CLASS_SCORES),
        "dice_positive",
    )


class TrainingLog:
    """Writer of ``metrics.csv`` and of TensorBoard's log, with a row per epoch.

    Args:
        folder: where to write.
        class_ids: of the classes that are scored.
        start: number of finished epochs; rows of later ones are dropped, since those epochs run again.
        tracked: run of MLflow that gets the rows, too.
    """

    def __init__(
        self, folder: Path, class_ids: Sequence[int], start: int, tracked: MlflowRun | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "metrics.csv"
        self._columns = columns(class_ids)
        self._tracked = tracked
        self._drop_rows_after(start)
        self._board = Board(folder / "tensorboard", start)

    def add(self, row: dict[str, float]) -> None:
        """Write the row of an epoch and print its summary."""
        new = not self._path.exists()
        with about(self._path), self._path.open("a", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            if new:
                writer.writeheader()
            writer.writerow(
                dict.fromkeys(self._columns, "") | {name: f"{value:.6g}" for name, value in row.items()}
            )
        for name, value in row.items():
            self._board.add_scalar(name, value, int(row["epoch"]))
        if self._tracked is not None:
            self._tracked.log_metrics(row, step=int(row["epoch"]))
        tail = f", validation Dice+ {row['dice_positive']:.3f}" if "dice_positive" in row else ""
        print(
            f"epoch {int(row['epoch'])}: loss {row['loss']:.3f}, {row['seconds']:.0f} s, "
            f"{row['waiting_share']:.1%} of it waiting for data{tail}",
            flush=True,
        )

    def add_examples(self, examples: Sequence[Example], epoch: int) -> None:
        """Write pictures of validated strips to TensorBoard."""
        for example in examples:
            self._board.add_picture(example.name, draw_example(example), epoch)

    def add_files(self, paths: Sequence[Path]) -> None:
        """Hand the files of the finished training, and this log, to MLflow."""
        if self._tracked is not None:
            self._tracked.log_files([*paths, self._path])

    def close(self) -> None:
        """Flush and close TensorBoard's log."""
        self._board.close()

    def _drop_rows_after(self, epoch: int) -> None:
        if not self._path.exists():
            return
        with self._path.open(newline="") as file:
            kept = [row for row in csv.DictReader(file) if int(row["epoch"]) <= epoch]
        with whole_file(self._path) as unfinished, unfinished.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(kept)


def score_columns(scores: Sequence[ClassScore]) -> dict[str, float]:
    """Return scores as columns of a row."""
    row: dict[str, float] = {}
    for score in scores:
        for name in _CLASS_SCORES:
            value = getattr(score, name)
            row[f"{name}_{score.class_id}"] = float("nan") if value is None else value
    row["dice_positive"] = mean_or_none([s.dice_positive for s in scores]) or 0.0
    return row
