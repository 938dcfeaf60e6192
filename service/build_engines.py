"""``python -m service.build_engines``: build TensorRT's engines before the first start.

An engine fits one GPU model, driver and TensorRT version; built here, it is only read when the service
starts.
"""

import sys
import time

from service.errors import DeviceError, ModelFileError
from service.model.loading import open_session
from service.model.providers import GpuOptions
from service.model.repository import find_model
from service.settings import SettingsError, read_settings


def main() -> int:
    """Build engines for every batch size of the settings; return the exit code."""
    try:
        settings = read_settings()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    if settings.engine_cache is None:
        print("error: expected STEEL_ENGINE_CACHE, the folder of the engines, got none", file=sys.stderr)
        return 2
    started = time.perf_counter()
    try:
        session = open_session(
            find_model(settings.model),
            device="tensorrt",
            threads=settings.threads,
            max_batch_size=settings.max_batch_size,
            gpu=GpuOptions(graphs=settings.cuda_graphs, engine_cache=settings.engine_cache),
        )
    except (ModelFileError, DeviceError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(
        f"{session.metadata.name} {session.metadata.version}: engines for batches of "
        f"{', '.join(map(str, session.batch_sizes))} are in {settings.engine_cache}, built and proven in "
        f"{time.perf_counter() - started:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
