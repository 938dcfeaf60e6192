"""``python -m bench.gpu``: everything that wants measuring on a GPU, in one go.

Run it from the environment of ``make env`` with onnxruntime-gpu (and tensorrt) instead of onnxruntime.

Prints strips a second of the session alone by provider, arithmetic, CUDA graphs and batch size; of the same
network in torch in float16; and end to end over HTTP at saturation and at 450 strips a second, which are two
sides of a fast line. Networks have the accurate model's shape and random weights where only time counts; the
service runs the model that ships. A part that fails is a line with its reason.
"""

import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import torch
import tyro

from bench.drive import drive
from bench.jobs import write_jobs
from bench.our_service import running_service
from bench.workload import answer_jobs, image_files
from model_export.network.steel_network import NetworkConfig, ServedNetwork, SteelNetwork
from model_export.onnx_export.float16 import to_float16
from model_export.onnx_export.onnx_file import trace_to_onnx
from service.geometry import HEIGHT, WIDTH
from service.model.io_binding import BoundRuns
from service.model.providers import GpuDevice, GpuOptions, open_cpu, open_gpu
from service.model.repository import find_model, gpu_variant, read_model, write_checksum
from service.model.session import OrtSession, bind

NETWORK = NetworkConfig(encoder_depth=4, decoder_channels=(64, 32), classifier_channels=128)
"""The shape of the accurate model."""


@dataclass(frozen=True)
class GpuBench:
    """Measure sessions, torch and the service on a GPU."""

    model: Path = Path("models/steel-unet-resnet18")
    """The model that the service runs end to end."""
    out: Path = Path("runs/gpu")
    """Folder for gpu.json and TensorRT's engines."""
    devices: tuple[Literal["cuda", "tensorrt", "cpu"], ...] = ("cuda", "tensorrt")
    """cuda, tensorrt; cpu tries the script itself where there is no GPU."""
    sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    """Strips in a batch."""
    runs: int = 50
    """Timed runs of each."""
    rate: float = 450.0
    """Strips a second of the open loop."""
    seconds: float = 20.0
    """Of each load."""


@dataclass(frozen=True)
class Line:
    """One measurement."""

    what: str
    batch: int | None
    strips_per_second: float | None
    milliseconds: float | None
    """Median of a batch; end to end, the 99th percentile of a request."""
    problem: str | None = None


def main() -> None:
    """Measure, print and write."""
    options = tyro.cli(GpuBench, prog="python -m bench.gpu", description=__doc__)
    options.out.mkdir(parents=True, exist_ok=True)
    lines = []
    for line in measure(options):
        lines.append(line)
        print(_text(line), flush=True)
    (options.out / "gpu.json").write_text(json.dumps([dataclasses.asdict(line) for line in lines], indent=1))


def measure(options: GpuBench) -> Iterator[Line]:
    """Give one line after another."""
    torch.manual_seed(0)
    network = ServedNetwork(SteelNetwork(NETWORK)).eval()
    with tempfile.TemporaryDirectory() as folder:
        paths = _write_graphs(network, Path(folder))
        for device in options.devices:
            for arithmetic, path in paths.items():
                for graphs in (False, True) if device != "cpu" else (False,):
                    yield from _sessions(options, path, device, f"{device} {arithmetic}", graphs)
    yield from _torch(options, network)
    for device in options.devices:
        yield from _end_to_end(options, device)


def _write_graphs(network: ServedNetwork, folder: Path) -> dict[str, Path]:
    graph = trace_to_onnx(network)
    paths = {"fp32": folder / "fp32.onnx", "fp16": folder / "fp16.onnx"}
    onnx.save(graph, paths["fp32"])
    onnx.save(to_float16(graph), paths["fp16"])
    for path in paths.values():
        write_checksum(path)
    return paths


def _sessions(options: GpuBench, path: Path, device: str, what: str, graphs: bool) -> Iterator[Line]:
    what += ", CUDA graphs" if graphs else ""
    settings = GpuOptions(graphs=graphs, engine_cache=options.out / f"engines-{path.stem}-{int(graphs)}")
    try:
        bound = _bind(path, device, options.sizes, settings)
        for size in options.sizes:
            images = np.zeros((size, HEIGHT, WIDTH), dtype=np.uint8)
            yield _timed(what, size, options.runs, partial(bound.run, images))
    except Exception as error:  # whatever a driver or a library says belongs into the report
        yield Line(what, None, None, None, str(error)[:300])


def _bind(path: Path, device: str, sizes: tuple[int, ...], settings: GpuOptions) -> BoundRuns:
    kind: GpuDevice = "tensorrt" if device == "tensorrt" else "cuda"
    file = read_model(path)
    session = open_cpu(file, 1) if device == "cpu" else open_gpu(file, kind, 1, max(sizes), settings)
    memory = "cpu" if device == "cpu" else "cuda"
    return bind(session, device=memory, batch_sizes=sizes, graphs=settings.graphs)


def _torch(options: GpuBench, network: ServedNetwork) -> Iterator[Line]:
    if not torch.cuda.is_available():
        yield Line("torch fp16", None, None, None, "torch finds no GPU")
        return
    device = torch.device("cuda")
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in stubs
    for size in options.sizes:
        images = torch.zeros((size, HEIGHT, WIDTH), dtype=torch.uint8).pin_memory()

        def run(images: torch.Tensor = images) -> object:
            with torch.inference_mode(), torch.autocast("cuda", torch.float16):
                return [answer.cpu() for answer in network(images.to(device, non_blocking=True))]

        yield _timed("torch fp16", size, options.runs, run)


def _end_to_end(options: GpuBench, device: Literal["cuda", "tensorrt", "cpu"]) -> Iterator[Line]:
    model = find_model(options.model)
    try:
        with tempfile.TemporaryDirectory() as folder:
            served = model if device == "cpu" else gpu_variant(model)
            # On the device that will be asked: float16 differs from processors in single pixels.
            session = OrtSession(served, device=device)
            jobs = answer_jobs(image_files(None, 40), session)
            del session
            write_jobs(jobs, Path(folder))
            with running_service(model, options.out, jobs[0], device=device) as server:
                loads: dict[str, dict[str, object]] = {
                    "saturation": {"connections": 64},
                    f"{options.rate:g} strips/s": {"rate": options.rate},
                }
                for what, load in loads.items():
                    report = drive(server, Path(folder), seconds=options.seconds, **load).report
                    bad = report.wrong + report.failed + report.refused
                    problem = f"{report.wrong} wrong, {report.failed} failed, {report.refused} refused"
                    yield Line(
                        f"{device} end to end, {what}",
                        None,
                        report.throughput,
                        report.latency.p99,
                        problem if bad else None,
                    )
    except Exception as error:
        yield Line(f"{device} end to end", None, None, None, str(error)[:300])


def _timed(what: str, size: int, runs: int, run: Callable[[], object]) -> Line:
    for _ in range(5):
        run()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    seconds = statistics.median(times)
    return Line(what, size, size / seconds, 1000 * seconds)


def _text(line: Line) -> str:
    if line.strips_per_second is None:
        return f"{line.what}: {line.problem}"
    batch = f" batch {line.batch}" if line.batch else ""
    problem = f"  ({line.problem})" if line.problem else ""
    return f"{line.what}{batch}: {line.strips_per_second:.1f} strips/s, {line.milliseconds:.2f} ms{problem}"


if __name__ == "__main__":
    main()
