"""``python -m tests.fuzz.decoders``: coverage-guided fuzzing of the image decoders, with atheris.

A file is answered with a strip or refused with an error of the service, within 10 seconds and 1.5 GB;
anything else ends the run, and the file is kept.
"""

import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import atheris
import numpy as np
import tyro

with atheris.instrument_imports(include=["service.images", "PIL"]):
    from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401

    from service.errors import ServiceError
    from service.images.decode import decode, read_size

from tests.fuzz.seeds import seeds, with_right_checksums

_MAX_PIXELS = 16_000_000
_MAX_BYTES = 64_000
"""Of a mutated file; no seed is larger."""


@dataclass(frozen=True)
class DecoderFuzzConfig:
    """Mutate image files, keep those that reach new code, and stop at the first fault."""

    seconds: int = 60
    """Of the whole run."""
    seed: int = 1
    corpus: Path = Path("build/fuzz")
    """Folder of the files that reached new code, and of the one that failed. A later run goes on from it."""


def decode_or_refuse(data: bytes) -> None:
    """Decode a file as the service does.

    Raises:
        AssertionError: if the result is no grey image.
        Exception: any other than ``ServiceError`` is a fault of the decoders.
    """
    read_size(data)
    for bits in (None, 12):
        try:
            strip = decode(data, max_pixels=_MAX_PIXELS, bits=bits)
        except ServiceError:
            continue
        assert strip.dtype == np.uint8, strip.dtype
        assert 0 < strip.size <= _MAX_PIXELS, strip.shape


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Mutate a file; half the PNGs get right checksums, without which nothing behind them is reached."""
    mutated = bytes(atheris.Mutate(data, max_size))
    return with_right_checksums(mutated)[:max_size] if seed % 2 else mutated


def fuzz(config: DecoderFuzzConfig) -> None:
    """Run libFuzzer; it ends this process, with code 0 if no file failed."""
    config.corpus.mkdir(parents=True, exist_ok=True)
    for name, data in seeds().items():
        (config.corpus / name).write_bytes(data)
    options = {
        "max_total_time": config.seconds,
        "seed": config.seed,
        "max_len": _MAX_BYTES,
        "timeout": 10,
        # The peak that libFuzzer measures begins with that of the process that started this one.
        "rss_limit_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + 1500,
        "artifact_prefix": f"{config.corpus}/failed-",
        "print_final_stats": 1,
    }
    arguments = [sys.argv[0], str(config.corpus), *(f"-{name}={value}" for name, value in options.items())]
    atheris.Setup(arguments, decode_or_refuse, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz(tyro.cli(DecoderFuzzConfig))
