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

from service.http.listen import EVERYWHERE, ListenError, listen, url_of
from service.http.tls import TlsError, check_certificate
from service.model.cpu_quota import cpu_quota
from service.settings import SettingsError, read_settings
from service.terminal import HANGUP
from steel_ray.application import Arguments, strips


def main(arguments: Sequence[str] | None = None) -> int:
    """Start Ray, serve until a signal, stop; return the exit code, as that of ``python -m service``."""
    try:
        settings = read_settings()
    except SettingsError as error:
        return _failed(str(error), 2)
    parser = argparse.ArgumentParser(prog="python -m steel_ray", description=__doc__)
    parser.add_argument("--host", default=settings.host)
    parser.add_argument("--port", type=int, default=settings.port)
    parser.add_argument(
        "--replicas", type=int, default=cpu_quota(), help="number of replicas, each on one processor"
    )
    options = parser.parse_args(arguments)
    tls = {}
    try:
        if settings.tls_certificate is not None and settings.tls_key is not None:
            if os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") == "1":  # it would answer in plain HTTP
                raise TlsError(
                    "STEEL_TLS_CERTIFICATE: expected none with RAY_SERVE_ENABLE_HA_PROXY=1, since Ray's "
                    "HAProxy speaks no TLS"
                )
            check_certificate(settings.tls_certificate, settings.tls_key)
            tls = {"ssl_keyfile": str(settings.tls_key), "ssl_certfile": str(settings.tls_certificate)}
        for sock in listen(options.host, options.port):  # Ray would say it late, between other lines
            sock.close()
    except TlsError as error:
        return _failed(f"error: {error}", 2)
    except ListenError as error:
        return _failed(f"error: {error}", 1)
    # Ray only counts processors; its own processes need few of them.
    ray.init("local", num_cpus=options.replicas, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": options.host, "port": options.port, "request_timeout_s": 60, **tls})
    application = strips.options(num_replicas=options.replicas).bind(Arguments().settings)
    serve.run(application, name="steel", route_prefix="/")
    stop = threading.Event()
    ends = (signal.SIGINT, signal.SIGTERM) if HANGUP is None else (signal.SIGINT, signal.SIGTERM, HANGUP)
    for number in ends:  # after Ray's own handlers, which abort
        signal.signal(number, lambda *_: stop.set())
    host = "localhost" if options.host in EVERYWHERE else options.host
    url = url_of(host, options.port, tls=bool(tls))
    print(f"Page: {url}/ from {options.replicas} replicas (Ctrl+C stops)", flush=True)
    stop.wait()
    serve.shutdown()  # type: ignore[no-untyped-call]  # Ray has no type for it
    ray.shutdown()
    return 0


def _failed(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
