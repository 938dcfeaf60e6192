"""``python -m bench.gpu``: all measurements on a GPU in one run.

Run it in the environment of ``make env`` with onnxruntime-gpu (and tensorrt) instead of onnxruntime.

It prints strips per second of the session alone by provider, arithmetic, CUDA graphs and batch size; of the
same network in torch in float16; and end to end over HTTP at saturation and at 450 strips per second, which
are two sides of a fast line. The session and torch run the accurate model's architecture with random weights;
the service runs the shipped model. A measurement that fails is printed with its reason.
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
from bench.workload import build_jobs, image_files
from model_export.network.steel_network import NetworkConfig, ServedNetwork, SteelNetwork
from model_export.onnx_export.float16 import to_float16
from model_export.onnx_export.onnx_file import trace_to_onnx
from service.model.io_binding import BoundRuns
from service.model.metadata import ModelMetadata
from service.model.providers import GpuDevice, GpuOptions, open_cpu, open_gpu
from service.model.repository import find_model, gpu_variant, read_model, write_checksum
from service.model.session import OrtSession, bind, read_metadata

NETWORK = NetworkConfig(encoder_depth=4, decoder_channels=(64, 32), classifier_channels=128)
"""Architecture of the accurate model."""


@dataclass(frozen=True)
class GpuBench:
    """Measure sessions, torch and the service on a GPU."""

    model: Path = Path("models/steel-unet-resnet18")
    """Model of the service, end to end; the graphs have its tile and classes."""
    out: Path = Path("runs/gpu")
    """Folder for gpu.json and TensorRT's engines."""
    devices: tuple[Literal["cuda", "tensorrt", "cpu"], ...] = ("cuda", "tensorrt")
    """cuda, tensorrt; cpu tests this script without a GPU."""
    sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    """Strips per batch."""
    runs: int = 50
    """Timed runs per measurement."""
    rate: float = 450.0
    """Strips per second of the open loop."""
    seconds: float = 20.0
    """Duration of each load."""


@dataclass(frozen=True)
class Measurement:
    """One measurement."""

    what: str
    batch: int | None
    strips_per_second: float | None
    milliseconds: float | None
    """Median per batch; end to end, the 99th percentile of a request."""
    problem: str | None = None


def main() -> None:
    """Measure, print and write."""
    options = tyro.cli(GpuBench, prog="python -m bench.gpu", description=__doc__)
    options.out.mkdir(parents=True, exist_ok=True)
    measurements = []
    for measurement in measure(options):
        measurements.append(measurement)
        print(_text(measurement), flush=True)
    (options.out / "gpu.json").write_text(
        json.dumps([dataclasses.asdict(one) for one in measurements], indent=1)
    )


def measure(options: GpuBench) -> Iterator[Measurement]:
    """Yield one measurement after the other."""
    model = find_model(options.model)
    metadata = read_metadata(open_cpu(read_model(model), 1), model)
    torch.manual_seed(0)
    network = ServedNetwork(SteelNetwork(NETWORK, classes=len(metadata.classes))).eval()
    with tempfile.TemporaryDirectory() as folder:
        paths = _write_graphs(network, (metadata.height, metadata.width), Path(folder))
        for device in options.devices:
            for arithmetic, path in paths.items():
                for graphs in (False, True) if device != "cpu" else (False,):
                    yield from _sessions(options, metadata, path, device, f"{device} {arithmetic}", graphs)
    yield from _torch(options, network, (metadata.height, metadata.width))
    for device in options.devices:
        yield from _end_to_end(options, device)


def _write_graphs(network: ServedNetwork, tile: tuple[int, int], folder: Path) -> dict[str, Path]:
    graph = trace_to_onnx(network, tile)
    paths = {"fp32": folder / "fp32.onnx", "fp16": folder / "fp16.onnx"}
    onnx.save(graph, paths["fp32"])
    onnx.save(to_float16(graph), paths["fp16"])
    for path in paths.values():
        write_checksum(path)
    return paths


def _sessions(
    options: GpuBench, metadata: ModelMetadata, path: Path, device: str, what: str, graphs: bool
) -> Iterator[Measurement]:
    what += ", CUDA graphs" if graphs else ""
    settings = GpuOptions(graphs=graphs, engine_cache=options.out / f"engines-{path.stem}-{int(graphs)}")
    try:
        bound = _bind(path, metadata, device, options.sizes, settings)
        for size in options.sizes:
            images = np.zeros((size, metadata.height, metadata.width), dtype=np.uint8)
            yield _timed(what, size, options.runs, partial(bound.run, images))
    except Exception as error:  # any error of a driver or library belongs in the report
        yield Measurement(what, None, None, None, str(error)[:300])


def _bind(
    path: Path, metadata: ModelMetadata, device: str, sizes: tuple[int, ...], settings: GpuOptions
) -> BoundRuns:
    kind: GpuDevice = "tensorrt" if device == "tensorrt" else "cuda"
    file = read_model(path)
    session = open_cpu(file, 1) if device == "cpu" else open_gpu(file, kind, 1, max(sizes), settings)
    memory = "cpu" if device == "cpu" else "cuda"
    return bind(session, metadata, device=memory, batch_sizes=sizes, graphs=settings.graphs)


def _torch(options: GpuBench, network: ServedNetwork, tile: tuple[int, int]) -> Iterator[Measurement]:
    if not torch.cuda.is_available():
        yield Measurement("torch fp16", None, None, None, "torch finds no GPU")
        return
    device = torch.device("cuda")
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in stubs
    for size in options.sizes:
        images = torch.zeros((size, *tile), dtype=torch.uint8).pin_memory()

        def run(images: torch.Tensor = images) -> object:
            with torch.inference_mode(), torch.autocast("cuda", torch.float16):
                return [answer.cpu() for answer in network(images.to(device, non_blocking=True))]

        yield _timed("torch fp16", size, options.runs, run)


def _end_to_end(options: GpuBench, device: Literal["cuda", "tensorrt", "cpu"]) -> Iterator[Measurement]:
    model = find_model(options.model)
    try:
        with tempfile.TemporaryDirectory() as folder:
            served = model if device == "cpu" else gpu_variant(model)
            # On the device under test: float16 differs from a CPU in single pixels.
            session = OrtSession(served, device=device)
            jobs = build_jobs(image_files(None, 40), session)
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
                    yield Measurement(
                        f"{device} end to end, {what}",
                        None,
                        report.throughput,
                        report.latency.p99,
                        problem if bad else None,
                    )
    except Exception as error:
        yield Measurement(f"{device} end to end", None, None, None, str(error)[:300])


def _timed(what: str, size: int, runs: int, run: Callable[[], object]) -> Measurement:
    for _ in range(5):
        run()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    seconds = statistics.median(times)
    return Measurement(what, size, size / seconds, 1000 * seconds)


def _text(line: Measurement) -> str:
    if line.strips_per_second is None:
        return f"{line.what}: {line.problem}"
    batch = f" batch {line.batch}" if line.batch else ""
    problem = f"  ({line.problem})" if line.problem else ""
    return f"{line.what}{batch}: {line.strips_per_second:.1f} strips/s, {line.milliseconds:.2f} ms{problem}"


if __name__ == "__main__":
    main()
