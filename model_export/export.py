"""From a checkpoint to a model file that says everything of itself and is proven equal to torch."""

import datetime
import hashlib
import platform
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version as installed_version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import torch

from model_export import checkpoint as checkpoints
from model_export.calibrate import class_logits, fit_temperature
from model_export.card import write_card
from model_export.checkpoint import Checkpoint
from model_export.config import TrainConfig
from model_export.curves import measure
from model_export.data import DataError, KaggleStrip, LabelledStrip
from model_export.evaluate import score_points
from model_export.metrics import format_table
from model_export.network import ServedNetwork
from model_export.sources import labelled_strips, named
from model_export.synthetic import DrawnStrip
from model_export.tune import RECALL_FLOOR, tune_inspection, tune_kaggle
from service import rle
from service.metadata import (
    CLASS_COUNT,
    FORMAT_VERSION,
    HEIGHT,
    METADATA_KEY,
    WIDTH,
    Calibration,
    DefectClass,
    Golden,
    ModelMetadata,
    OperatingPoint,
    Parity,
    Profile,
    Provenance,
    Strip,
    png_base64,
)
from service.session import OrtSession, prove

_GOLDEN = DrawnStrip(seed=7, number=3)


@dataclass(frozen=True)
class ExportConfig:
    """Export a checkpoint to ONNX, calibrated and tuned on validation strips, measured on test strips.

    Refuses to write a file whose answers differ from torch's.
    """

    checkpoint: Path = Path("runs/latest/best.pt")
    """What train wrote."""
    out: Path = Path("runs/models")
    """Model repository; the file becomes <out>/<name>/<version>/model.onnx. In models/ lies the default
    model, which a second name there would leave without a default."""
    name: str = "steel-unet-resnet18"
    """Name of the model."""
    version: int = 1
    """Version of the model, a whole number as Triton wants it."""
    data: Path | None = None
    """Where the training's data set lies now, if it has moved since."""
    class_names: tuple[str, str, str, str] = ("pitting", "vertical line", "scratch", "patch")
    """What to call the classes."""
    notice: str = ""
    """What the card should say of the data and the first weights: whose they are, on what terms."""
    overwrite: bool = False
    """Replace a version that exists."""
    parity_strips: int = 12
    """Strips on which the file is compared with torch."""


class ParityError(Exception):
    """The exported file answers differently from the network in torch; nothing was written."""


def export(config: ExportConfig) -> Path:
    """Export as configured and return the path of the model file."""
    state = checkpoints.load(config.checkpoint)
    if config.data is not None:
        state = replace(state, config=replace(state.config, data=config.data))
    target = config.out / config.name / str(config.version) / "model.onnx"
    if target.exists() and not config.overwrite:
        raise DataError(f"{target} exists: choose another --name or --version, or --overwrite it")
    strips = labelled_strips(state.config)
    train = named(strips, state.split.train)
    validation = named(strips, state.split.validation)
    test = named(strips, state.split.test)
    trained = checkpoints.restore_network(state)
    calibration = fit_temperature(*class_logits(trained, validation))
    network = ServedNetwork(trained, calibration.temperature).eval()
    golden_strip = _GOLDEN.load()[0] // 8 * 8  # fewer grey values make a smaller PNG
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as folder:
        part = Path(folder) / "model.onnx"
        model = _to_onnx(network)
        metadata = _draft(config, state, train, calibration, golden_strip)
        _write(model, metadata, part)

        session = OrtSession(part)
        compared = [golden_strip, *(strip.load()[0] for strip in validation[: config.parity_strips - 1])]
        curves = measure(session, validation, "tuning on validation strips")
        points = {"inspection": tune_inspection(curves), "kaggle": tune_kaggle(curves)}
        parity = check_parity(network, session, compared, points["inspection"])
        scores = score_points(session, test, list(points.values()))
        descriptions = {
            "inspection": f"keeps an image-level recall of {RECALL_FLOOR} per class on validation strips "
            "where it can be had; then Dice on positives minus false alarms",
            "kaggle": "maximises Kaggle's mean Dice, which pays for missing rare defects",
        }
        metadata = metadata.model_copy(
            update={
                "profiles": tuple(
                    Profile(
                        name=name,
                        description=descriptions[name],
                        tuned_on=f"{len(validation)} validation strips",
                        measured_on=f"{len(test)} test strips",
                        scores=score,
                        **point.model_dump(),
                    )
                    for (name, point), score in zip(points.items(), scores, strict=True)
                ),
                "parity": parity,
                "golden": _golden(session, golden_strip, points["inspection"]),
            }
        )
        _write(model, metadata, part)
        prove(OrtSession(part))
        part.replace(target)
    write_card(metadata, target.with_name("README.md"))
    for profile in metadata.profiles:
        print(f"\nprofile {profile.name} on {profile.measured_on}")
        print(format_table(profile.scores, config.class_names))
    print(
        f"\nwrote {target} ({target.stat().st_size / 1e6:.1f} MB), equal to torch on {parity.strips} strips: "
        f"{parity.pixel_agreement:.4%} of the pixels"
    )
    return target


def check_parity(
    network: ServedNetwork, session: OrtSession, strips: Sequence[Strip], point: OperatingPoint
) -> Parity:
    """Compare the file with torch in float32, strip by strip.

    Raises:
        ParityError: if a class probability differs by more than 0.001, a mask byte by more than 1, or
            fewer than 99.9 % of the pixels fall on the same side of the thresholds.
    """
    class_difference = 0.0
    byte_difference = 0
    equal_pixels = 0
    for strip in strips:
        with torch.inference_mode():
            classes, masks = network(torch.tensor(strip).unsqueeze(0))
        answer = session.infer([strip])[0]
        expected = masks[0].numpy()
        class_difference = max(class_difference, float(np.abs(answer.classes - classes[0].numpy()).max()))
        byte_difference = max(
            byte_difference, int(np.abs(answer.masks.astype(np.int16) - expected.astype(np.int16)).max())
        )
        for index in range(CLASS_COUNT):
            level = point.byte_threshold(index)
            equal_pixels += int(
                np.count_nonzero((answer.masks[index] >= level) == (expected[index] >= level))
            )
    agreement = equal_pixels / (len(strips) * CLASS_COUNT * HEIGHT * WIDTH)
    if not (class_difference <= 1e-3 and byte_difference <= 1 and agreement >= 0.999):
        raise ParityError(
            f"the exported graph differs from torch on {len(strips)} strips: class probabilities by up to "
            f"{class_difference:.4f}, mask bytes by up to {byte_difference} of 255, {agreement:.4%} of the "
            "pixels agree; nothing was written"
        )
    return Parity(
        strips=len(strips),
        max_class_probability_difference=class_difference,
        max_mask_byte_difference=byte_difference,
        pixel_agreement=agreement,
    )


def _to_onnx(network: ServedNetwork) -> onnx.ModelProto:
    example = torch.zeros((2, HEIGHT, WIDTH), dtype=torch.uint8)
    with warnings.catch_warnings():
        # torch's exporter warns of deprecations in its own tree, which nobody here can mend.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (example,),
            input_names=["image"],
            output_names=["class_probability", "mask_probability"],
            dynamic_shapes={"image": {0: torch.export.Dim("n", min=1, max=256)}},
            dynamo=True,
            opset_version=18,
            verbose=False,
        )
    if program is None:
        raise ParityError("torch exported nothing")
    model: onnx.ModelProto = program.model_proto
    return model


def _write(model: onnx.ModelProto, metadata: ModelMetadata, path: Path) -> None:
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA_KEY: metadata.model_dump_json()})
    onnx.save(model, path)


def _draft(
    config: ExportConfig,
    state: Checkpoint,
    train: Sequence[LabelledStrip],
    calibration: Calibration,
    golden: Strip,
) -> ModelMetadata:
    """Metadata before anything was measured: enough to open a session."""
    half = OperatingPoint(class_threshold=(0, 0, 0, 0), threshold=(0.5,) * 4, min_area=(0, 0, 0, 0))
    first, second, third, fourth = (
        DefectClass(id=number, name=name) for number, name in enumerate(config.class_names, 1)
    )
    drawn = f"{state.config.drawn} drawn strips"
    if state.config.data is None:
        training_data = drawn
    else:
        training_data = f"{len(train)} strips of {state.config.data.name}"
        if state.config.drawn and state.config.drawn_share:
            training_data += f", and {drawn} in {state.config.drawn_share:.0%} of the samples"
    return ModelMetadata(
        format_version=FORMAT_VERSION,
        name=config.name,
        version=str(config.version),
        precision="fp32",
        height=HEIGHT,
        width=WIDTH,
        classes=(first, second, third, fourth),
        profiles=(
            Profile(
                name="draft", description="", tuned_on="", measured_on="", scores=(), **half.model_dump()
            ),
        ),
        split=state.split,
        provenance=Provenance(
            created=datetime.datetime.now(datetime.UTC).date().isoformat(),
            training_data=training_data,
            notice=config.notice,
            training_data_sha256=_hash_labels(train),
            code_sha256=_hash_code(),
            config=_describe(state.config) | {"epochs_trained": state.epoch},
            versions={
                "python": platform.python_version(),
                **{name: installed_version(name) for name in ("torch", "onnx", "onnxruntime")},
            },
        ),
        calibration=calibration,
        parity=Parity(
            strips=0, max_class_probability_difference=0, max_mask_byte_difference=0, pixel_agreement=0
        ),
        golden=Golden(strip_png=png_base64(golden), class_probability=(0, 0, 0, 0), rle=("", "", "", "")),
    )


def _golden(session: OrtSession, strip: Strip, point: OperatingPoint) -> Golden:
    classes, masks = session.infer([strip])[0]
    codes = [rle.encode(masks[index] >= point.byte_threshold(index)) for index in range(CLASS_COUNT)]
    first, second, third, fourth = codes
    a, b, c, d = (float(value) for value in classes)
    return Golden(
        strip_png=png_base64(strip), class_probability=(a, b, c, d), rle=(first, second, third, fourth)
    )


def _describe(config: TrainConfig) -> dict[str, object]:
    """Write a configuration for a model file, without paths of this machine."""
    plain = checkpoints.plain_config(config)
    plain["data"] = config.data.name if config.data else None
    if config.encoder_weights not in ("none", "imagenet"):
        plain["encoder_weights"] = Path(config.encoder_weights).name
    return {name: value for name, value in plain.items() if name not in ("out", "resume")}


def _hash_labels(strips: Sequence[LabelledStrip]) -> str:
    digest = hashlib.sha256()
    for strip in sorted(strips, key=lambda strip: strip.name):
        codes = strip.rles if isinstance(strip, KaggleStrip) else ()
        digest.update("\t".join([strip.name, *codes]).encode() + b"\n")
    return digest.hexdigest()


def _hash_code() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
