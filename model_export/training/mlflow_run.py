"""A training in MLflow's tracking: its options, its metrics and its files.

MLflow is imported only here and only for ``--mlflow``; its environment variables say where the server is
(``MLFLOW_TRACKING_URI``) and which experiment the run belongs to (``MLFLOW_EXPERIMENT_NAME``).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model_export.errors import TrainingError
from model_export.training.config import TrainConfig
from model_export.training.run_file import flat_options
from service.files import whole_file

RUN_ID_FILE = "mlflow-run.txt"
"""Id of the run in MLflow, beside the checkpoints: a resumed training goes on with it."""


class MlflowRun:
    """One run of MLflow that is open.

    What MLflow refuses once the run is open is printed and does not end the training.
    """

    def __init__(self, mlflow: Any) -> None:
        self._mlflow = mlflow

    def log_metrics(self, row: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers; those that are not finite are left out."""
        finite = {name: float(value) for name, value in row.items() if math.isfinite(value)}
        self._try(self._mlflow.log_metrics, finite, step=step)

    def log_files(self, paths: Sequence[Path]) -> None:
        """Copy files that exist to MLflow's store."""
        for path in paths:
            if path.is_file():
                self._try(self._mlflow.log_artifact, str(path))

    def _try(self, call: Any, *arguments: object, **options: object) -> None:
        try:
            call(*arguments, **options)
        except Exception as error:  # MLflow raises its own, requests' and the file system's
            print(f"warning: MLflow: {_one_line(error)}", flush=True)


@contextmanager
def open_mlflow_run(folder: Path, config: TrainConfig | None) -> Iterator[MlflowRun]:
    """Open the run of a training, an earlier one if the folder has its id; it ends with the block.

    Args:
        folder: of the training.
        config: its options, logged when the run is new; None opens an earlier run only.

    Raises:
        TrainingError: if MLflow is not installed, or there is no such run or server.
    """
    try:
        import mlflow
    except ModuleNotFoundError as error:
        raise TrainingError("--mlflow needs MLflow: pip install mlflow-skinny, or mlflow") from error
    known = folder / RUN_ID_FILE
    run_id = known.read_text(encoding="utf-8").strip() if known.is_file() else None
    if run_id is None and config is None:
        raise TrainingError(f"--mlflow: {folder} was not trained with it: there is no {RUN_ID_FILE}")
    try:
        run = mlflow.start_run(run_id=run_id, run_name=None if run_id else folder.name)
        if run_id is None and config is not None:
            mlflow.log_params(flat_options(config))
    except Exception as error:
        raise TrainingError(f"MLflow: {_one_line(error)}") from error
    status = "FAILED"
    try:
        with whole_file(known) as unfinished:
            unfinished.write_text(run.info.run_id + "\n", encoding="utf-8")
        yield MlflowRun(mlflow)
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        mlflow.end_run(status)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
