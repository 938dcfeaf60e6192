"""``python -m tools.trace_predict``: follow one ``POST /predict`` through the files of the service.

Prints how many calls of our functions the request makes, how many files it enters, and how often it moves
from one file to another, on the event loop and on the inference thread together. Run it by hand before and
after a change of the structure. It traces the second request, so that nothing runs for the first time.
"""

import argparse
import asyncio
import itertools
import logging
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType

import httpx
import structlog

from service.app import create_app
from service.settings import Settings

ROOT = Path(__file__).parents[1]
PACKAGE = f"{ROOT / 'service'}/"


class Trace:
    """Records calls of the package's functions on all threads; a resumed coroutine counts as a call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.recording = False

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        """Record a call; for ``sys.setprofile``."""
        if self.recording and event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            file = frame.f_code.co_filename.removeprefix(PACKAGE)
            self.calls.append((file, getattr(frame.f_code, "co_qualname", frame.f_code.co_name)))


async def trace_predict(image: bytes) -> list[tuple[str, str]]:
    """Answer an image twice in this process; return the calls of the second answer, file and function."""
    trace = Trace()
    threading.setprofile(trace)  # of threads to come
    sys.setprofile(trace)
    app = create_app(Settings(model=ROOT / "models/steel-unet-resnet18-fast", device="cpu"))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://trace", timeout=60) as client,
    ):
        while (await client.get("/health/ready")).status_code != httpx.codes.OK:
            await asyncio.sleep(0.05)
        for recording in (False, True):
            trace.recording = recording
            (await client.post("/predict", files={"file": image})).raise_for_status()
        trace.recording = False
    return trace.calls


def main() -> None:
    """Trace, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m tools.trace_predict", description=__doc__)
    parser.add_argument("--image", type=Path, default=ROOT / "examples/strip.png")
    parser.add_argument("--verbose", action="store_true", help="list every call")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    calls = asyncio.run(trace_predict(options.image.read_bytes()))
    files = [file for file, _ in calls]
    moves = sum(one != other for one, other in itertools.pairwise(files))
    print(f"{len(calls)} calls, {len(set(files))} files, {moves} moves between files")
    for file, count in Counter(files).most_common():
        print(f"{count:5}  {file}")
    if options.verbose:
        print("\n".join(f"{file}: {function}" for file, function in calls))


if __name__ == "__main__":
    main()
