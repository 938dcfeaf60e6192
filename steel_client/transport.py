"""Connections: certificates, proxies, and errors of httpx as errors of this client."""

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx

from steel_client.errors import ConfigurationError, SteelError

_LAST_PORT = 65_535


def check_url(url: str) -> str:
    """Return a service's URL without a slash at its end.

    Raises:
        ConfigurationError: if it is not one of HTTP, or has a query or a fragment.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise ConfigurationError(f"expected a URL such as http://host:8000, got {url!r}: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigurationError(f"expected a URL such as http://host:8000, got {url!r}")
    if parsed.port is not None and not 0 < parsed.port <= _LAST_PORT:
        raise ConfigurationError(f"expected a port of 1 to {_LAST_PORT} in the URL, got {url!r}")
    if "?" in url or "#" in url:
        raise ConfigurationError(f"expected a URL without ? and #, got {url!r}")
    return url.rstrip("/")


def trust(ca: Path | None) -> ssl.SSLContext | bool:
    """Return httpx's ``verify``: the certificates in a PEM file, or for None those that the system trusts.

    Raises:
        ConfigurationError: if the file holds no certificate.
    """
    if ca is None:
        return True
    if not ca.is_file():
        raise ConfigurationError(f"there is no certificate file {str(ca)!r}")
    try:
        return ssl.create_default_context(cafile=str(ca))
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"expected a PEM file with a certificate in {str(ca)!r}: {error}") from error


@contextlib.contextmanager
def translate_settings() -> Iterator[None]:
    """Raise what httpx says of proxies and certificates in the environment as ConfigurationError."""
    try:
        yield
    except (httpx.InvalidURL, ImportError, OSError, ValueError) as error:
        raise ConfigurationError(
            "a proxy or a certificate in the environment cannot be used (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, "
            f"NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR): {error}"
        ) from error


@contextlib.contextmanager
def translate_errors() -> Iterator[None]:
    """Raise httpx's errors of a request as SteelError."""
    try:
        yield
    except httpx.RequestError as error:
        reason = str(error) or type(error).__name__
        if _is_untrusted(error):
            raise ConfigurationError(
                f"the server's certificate is not trusted: {reason}; ca (--ca) names the PEM file of the one "
                "that signed it"
            ) from error
        if isinstance(error, httpx.ProxyError):
            reason = f"the proxy of the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY) says: {reason}"
        timed_out = isinstance(error, httpx.ReadTimeout)
        url = error.request.url
        server = f"{url.scheme}://{url.netloc.decode()}"
        raise SteelError(f"no answer from {server}: {reason}", status=504 if timed_out else None) from error
    except (httpx.InvalidURL, UnicodeError) as error:  # a host name that no name server can be asked for
        raise ConfigurationError(f"the URL cannot be used: {error}") from error


def _is_untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
