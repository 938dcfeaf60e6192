"""``--mlflow``: with a stand-in that notes what it is told, and with MLflow itself where it is installed."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from model_export.errors import TrainingError
from model_export.onnx_export.export import ExportConfig, export
from model_export.training.mlflow_run import open_mlflow_run
from model_export.training.train import train
from tests.support.quick_training import TINY


class StandIn(ModuleType):
    """The functions of MLflow that are used."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.told: list[tuple[str, Any]] = []
        self.broken = False

    def start_run(self, run_id: str | None, run_name: str | None) -> SimpleNamespace:
        self.told.append(("start", (run_id, run_name)))
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id or "abc"))

    def log_params(self, options: dict[str, object]) -> None:
        self.told.append(("params", options))

    def log_metrics(self, row: dict[str, float], step: int | None) -> None:
        if self.broken:
            raise ConnectionError("the server\nis gone")
        self.told.append(("metrics", (step, row)))

    def log_artifact(self, path: str) -> None:
        self.told.append(("file", Path(path).name))

    def end_run(self, status: str) -> None:
        self.told.append(("end", status))


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setitem(sys.modules, "mlflow", stand_in)
    return stand_in


def test_options_metrics_and_files(mlflow: StandIn, tmp_path: Path) -> None:
    config = replace(TINY, out=tmp_path / "mine", mlflow=True, epochs=2, validate_every=2)
    train(config)
    kinds = [kind for kind, _ in mlflow.told]
    assert kinds == ["start", "params", "metrics", "metrics", "file", "file", "file", "end"]
    assert mlflow.told[0][1] == (None, "mine")
    assert mlflow.told[1][1]["encoder-depth"] == 4
    (first, row), (second, validated) = mlflow.told[2][1], mlflow.told[3][1]
    assert (first, second) == (1, 2)
    assert "dice_positive" in validated
    assert "dice_positive" not in row
    assert {name for kind, name in mlflow.told if kind == "file"} == {"best.pt", "run.yaml", "metrics.csv"}
    assert mlflow.told[-1][1] == "FINISHED"
    mlflow.told.clear()
    train(replace(config, resume=True))
    assert mlflow.told[0][1] == ("abc", None)
    assert "params" not in [kind for kind, _ in mlflow.told]


def test_an_export_adds_the_model_file(mlflow: StandIn, tmp_path: Path) -> None:
    best = train(replace(TINY, out=tmp_path / "mine", mlflow=True, epochs=1))
    plain = ExportConfig(
        checkpoint=best, out=tmp_path / "models", parity_strips=2, precision="fp32", gpu=False, mlflow=True
    )
    mlflow.told.clear()
    export(plain)
    kinds = [kind for kind, _ in mlflow.told]
    assert kinds == ["start", "file", "file", "metrics", "metrics", "end"]
    assert mlflow.told[0][1] == ("abc", None)
    assert [name for kind, name in mlflow.told if kind == "file"] == ["model.onnx", "README.md"]
    assert "inspection_recall_1" in mlflow.told[3][1][1]
    (best.parent / "mlflow-run.txt").unlink()
    with pytest.raises(TrainingError, match=r"mine was not trained with it: there is no mlflow-run\.txt"):
        export(replace(plain, version=2))
    assert not (tmp_path / "models" / "steel-unet-resnet18" / "2").exists()


def test_a_training_that_fails_is_a_failed_run(mlflow: StandIn, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the loss is"):
        train(replace(TINY, out=tmp_path, mlflow=True, learning_rate=1e30, warm_up=0.0, samples_per_epoch=6))
    assert mlflow.told[-1] == ("end", "FAILED")
    with pytest.raises(KeyboardInterrupt), open_mlflow_run(tmp_path, TINY):
        raise KeyboardInterrupt
    assert mlflow.told[-1] == ("end", "KILLED")


def test_a_server_that_goes_away_does_not_end_the_training(
    mlflow: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mlflow.broken = True
    assert train(replace(TINY, out=tmp_path, mlflow=True, epochs=1)).is_file()
    assert "warning: MLflow: the server is gone" in capsys.readouterr().out


def test_without_mlflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(TrainingError, match="--mlflow needs MLflow: pip install mlflow-skinny"):
        train(replace(TINY, out=tmp_path, mlflow=True))
    train(replace(TINY, out=tmp_path, epochs=1))


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="MLflow is not installed")
def test_mlflow_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # mlflow-skinny has no database
    mlflow.set_tracking_uri((tmp_path / "store").as_uri())
    config = replace(TINY, out=tmp_path / "mine", mlflow=True, epochs=2, validate_every=1)
    train(config)
    client = mlflow.MlflowClient()
    run_id = (tmp_path / "mine" / "mlflow-run.txt").read_text().strip()
    run = client.get_run(run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "mine")
    assert run.data.params["encoder-depth"] == "4"
    assert len(client.get_metric_history(run_id, "loss")) == 2
    assert {one.path for one in client.list_artifacts(run_id)} == {"best.pt", "run.yaml", "metrics.csv"}
    train(replace(config, resume=True))
    assert len(client.search_runs(["0"])) == 1
