"""Strips that other people's encoders write, with each of their options, against OpenCV's decoders."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.corpora.comparing import outcome
from tests.support.serving import ROOT

EXAMPLE = ROOT / "examples" / "strip.png"

# Options of each encoder. What takes it seconds, its highest compression, is left out.
CJPEG = [
    *("-quality 1", "-quality 30 -dct float", "-quality 100 -optimize", "-arithmetic", "-progressive"),
    *("-progressive -arithmetic -restart 3", "-restart 1", "-restart 7B", "-smooth 40", "-grayscale", "-rgb"),
    *(
        "-baseline -quality 2",
        "-qslots 0,1,1 -quality 70,20,40",
        "-rgb -progressive",
        "-grayscale -progressive",
    ),
    *(f"-sample {factors}" for factors in ("1x1", "2x1", "1x2", "2x2", "4x1", "1x4", "4x2", "3x1", "2x4")),
    *("-sample 2x2,2x1,1x1", "-sample 1x1,2x2,1x1", "-sample 2x1 -progressive"),
]
TIFFCP = [
    *("-c none", "-c packbits", "-c lzw", "-c lzw:2", "-c zip", "-c zip:2", "-r 1", "-r 7 -c lzw", "-B"),
    *("-t -w 64 -l 64 -c zip", "-t -w 16 -l 256", "-p separate", "-p separate -c lzw:2", "-L -c lzw"),
    *("-t -w 128 -l 32 -p separate -c packbits", "-f lsb2msb", "-f lsb2msb -c lzw", "-M -c none"),
    *("-c jpeg:90 -r 16", "-c jpeg:r:50 -r 16"),
]
TIFFCP_FAX = [
    "-c g3:1d",
    "-c g3:2d",
    "-c g3:2d:fill",
    "-c g4",
    "-c g4 -f lsb2msb",
    "-c packbits -t -w 64 -l 64",
]
TIFFCP_WIDE = ["-c none -B", "-c none -L", "-c lzw:2", "-c zip:2 -B", "-r 3 -c packbits", "-t -w 64 -l 64 -B"]
CWEBP = [
    *("-lossless -z 1", "-lossless -exact -m 0", "-near_lossless 20 -m 0", "-q 0", "-q 100 -m 0"),
    *("-m 2 -sharp_yuv", "-m 2 -segments 1 -sns 0", "-m 2 -f 100 -strong", "-m 2 -f 100 -nostrong"),
    *("-m 2 -sharpness 7", "-m 2 -partition_limit 100", "-m 2 -jpeg_like", "-m 2 -pre 4"),
]
PNGCRUSH = ["-m 1", "-m 7", *(f"-force -m 4 -c {colour}" for colour in (0, 2, 4, 6))]
OPTIPNG = [*(f"-nx -f {kind}" for kind in range(6)), "-i 1", "-full -zw 256"]

CASES = [
    *((f"cjpeg {options} -outfile OUT IN", "colour") for options in CJPEG),
    *((f"tiffcp {options} IN OUT", "colour") for options in TIFFCP),
    *((f"tiffcp {options} IN OUT", "grey") for options in TIFFCP),
    *((f"tiffcp {options} IN OUT", "palette") for options in TIFFCP if "jpeg" not in options),
    *((f"tiffcp {options} IN OUT", "black and white") for options in TIFFCP_FAX),
    *((f"tiffcp {options} IN OUT", "16 bits") for options in TIFFCP_WIDE),
    *((f"cwebp -quiet {options} IN -o OUT", "colour") for options in CWEBP),
    *((f"cwebp -quiet {options} IN -o OUT", "alpha") for options in CWEBP[:4]),
    *((f"pngcrush -q {options} IN OUT", "grey") for options in PNGCRUSH),
    *((f"optipng -quiet -force -o 1 {options} IN -out OUT", "grey") for options in OPTIPNG),
    *(
        (f"optipng -quiet -force -o 1 -i 1 {options} IN -out OUT", kind)
        for options in ("-nx -f 4", "-full")
        for kind in ("colour", "alpha", "palette", "black and white", "16 bits")
    ),
    ("zopflipng -y --iterations=1 --filters=p IN OUT", "black and white"),
]
SOURCE = {"cjpeg": "PPM", "tiffcp": "TIFF"}
PACKAGE = {"cjpeg": "libjpeg-turbo-progs", "tiffcp": "libtiff-tools", "cwebp": "webp", "zopflipng": "zopfli"}


@pytest.fixture(scope="module")
def images() -> dict[str, Image.Image]:
    """The example strip in several pixel types; in colour its channels differ."""
    grey = np.asarray(Image.open(EXAMPLE).convert("L"))
    colour = Image.fromarray(np.stack([grey, np.roll(grey, 9, axis=1) // 2, 255 - grey // 3], axis=2))
    plain = Image.fromarray(grey)
    return {
        "grey": plain,
        "colour": colour,
        "alpha": colour.convert("RGBA"),
        "palette": plain.convert("P"),
        "black and white": plain.convert("1", dither=Image.Dither.NONE),
        "16 bits": Image.fromarray(grey.astype(np.uint16) * 257),
    }


@pytest.mark.parametrize(("command", "kind"), CASES)
def test_what_an_encoder_writes_is_read_as_opencv_reads_it(
    images: dict[str, Image.Image], command: str, kind: str, tmp_path: Path
) -> None:
    program, *arguments = command.split()
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here (Debian: apt-get install {PACKAGE.get(program, program)})")
    source, target = tmp_path / "source", tmp_path / "target"
    images[kind].save(source, SOURCE.get(program, "PNG"))
    places = {"IN": source, "OUT": target}
    filled = [program, *(places.get(argument, argument) for argument in arguments)]
    done = subprocess.run(filled, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert outcome(target.read_bytes()) == "agrees"
