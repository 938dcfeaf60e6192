"""Names of encoders and decoders, checked before anything is built of them."""

import difflib

import model_export.network.torchvision_import  # noqa: F401  # isort: skip  (must come before smp)

import segmentation_models_pytorch as smp
import timm

from model_export.errors import OptionError

_PREFIX = "tu-"
"""Of timm's encoders in segmentation-models-pytorch."""


def check_names(encoder: str, decoder: str) -> None:
    """Check that an encoder and a decoder exist.

    Args:
        encoder: of segmentation-models-pytorch, or of timm with ``tu-`` in front; for the decoder ``joined``
            a model of timm.
        decoder: of segmentation-models-pytorch, or ``joined``.

    Raises:
        OptionError: if there is none of this name; the message has names that are alike.
    """
    decoders = [*smp.MODEL_ARCHITECTURES_MAPPING, "joined"]
    if decoder not in decoders:
        raise OptionError(f"--decoder: expected one of {', '.join(decoders)}, got {decoder!r}")
    own, name = list(smp.encoders.encoders), encoder.removeprefix(_PREFIX)
    if decoder == "joined":
        if not timm.is_model(name):
            raise _unknown("a model of timm", encoder, timm.list_models())
    elif encoder.startswith(_PREFIX):
        if not timm.is_model(name.partition(".")[0]):
            raise _unknown(
                "tu- and a model of timm", encoder, [_PREFIX + model for model in timm.list_models()]
            )
    elif encoder not in own:
        raise _unknown("an encoder of segmentation-models-pytorch, or tu- and a model of timm", encoder, own)


def _unknown(expected: str, name: str, known: list[str]) -> OptionError:
    alike = difflib.get_close_matches(name, known, n=4) or known[:4]
    return OptionError(f"--encoder: expected {expected}, e.g. {', '.join(alike)}; got {name!r}")
