"""``python -m steel_ray``: run the application on a Ray cluster of this machine until a signal."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence

# Read when Ray is imported: no usage reports to its makers.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "steel_ray.proxy:middlewares")

import ray
from ray import serve

from service.model.cpu_quota import cpu_quota
from steel_ray.application import Arguments, strips


def main(arguments: Sequence[str] | None = None) -> int:
    """Start Ray, serve until a signal, stop; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m steel_ray", description=__doc__)
    parser.add_argument("--host", default=os.environ.get("STEEL_HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("STEEL_PORT", "8000")))
    parser.add_argument(
        "--replicas", type=int, default=cpu_quota(), help="number of replicas, each on one processor"
    )
    options = parser.parse_args(arguments)
    # Ray only counts processors; its own processes need few of them.
    ray.init("local", num_cpus=options.replicas, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": options.host, "port": options.port, "request_timeout_s": 60})
    application = strips.options(num_replicas=options.replicas).bind(Arguments().settings)
    serve.run(application, name="steel", route_prefix="/")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # after Ray's own handlers, which abort
        signal.signal(number, lambda *_: stop.set())
    print(
        f"Page: http://{options.host}:{options.port}/ from {options.replicas} replicas (Ctrl+C stops)",
        flush=True,
    )
    stop.wait()
    serve.shutdown()  # type: ignore[no-untyped-call]  # Ray has no type for it
    ray.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
