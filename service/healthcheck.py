"""``python -m service.healthcheck``: exit code 0 if the service on this machine is ready. Docker runs it."""

import http.client
import os
import ssl
import sys

_SECONDS = 2
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (listening on all addresses includes it)


def main() -> int:
    """Request ``/health/ready`` at the address in the environment; return the exit code."""
    port = int(os.environ.get("STEEL_PORT", "8000"))
    host = os.environ.get("STEEL_HOST", "127.0.0.1")
    host = _LOOPBACK.get(host, host)
    connection: http.client.HTTPConnection
    if "STEEL_TLS_CERTIFICATE" in os.environ:
        context = ssl.create_default_context()
        # The certificate is for the host name that callers use, not for this address.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/health/ready")
        return int(connection.getresponse().status != 200)
    except OSError:
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
