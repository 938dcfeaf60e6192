"""nginx and HAProxy in front of the service, below a path that they strip."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.serving import free_port, wait_until_answering

PREFIX = "/line 3/steel"
"""With a blank: what is put together from text breaks."""

_NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {location}
    }}
}}
"""
_STRIPS = """location "{prefix}/" {{
            proxy_pass {url}/;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
        }}"""
_WEB_SOCKETS = """location / {{
            proxy_pass {url};
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
        }}"""
_HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend front
    bind 127.0.0.1:{port}
    acl below path,url_dec -m beg "{prefix}/"
    http-request deny deny_status 404 unless below
    http-request replace-path {quoted}/(.*) /\\1
    default_backend service
backend service
    server one {address}
"""


@contextlib.contextmanager
def behind_proxy(program: str, url: str, folder: Path) -> Iterator[str]:
    """Start a proxy that strips a path; yield the URL of the service behind it, with the path.

    Args:
        program: nginx or haproxy.
        url: of the service.
        folder: an empty one.
    """
    quoted = PREFIX.replace(" ", "%20")
    location = _STRIPS.format(prefix=PREFIX, url=url)
    texts = {"nginx": _NGINX, "haproxy": _HAPROXY}
    address = url.removeprefix("http://")
    with _running(
        program, texts[program], folder, location=location, prefix=PREFIX, quoted=quoted, address=address
    ) as front:
        yield f"{front}{quoted}"


@contextlib.contextmanager
def behind_nginx_for_web_sockets(url: str, folder: Path) -> Iterator[str]:
    """Start nginx with the usual snippet for web sockets; yield its URL."""
    with _running("nginx", _NGINX, folder, location=_WEB_SOCKETS.format(url=url)) as front:
        yield front


@contextlib.contextmanager
def _running(program: str, text: str, folder: Path, **fields: str) -> Iterator[str]:
    """Run a proxy until it listens; skip the test where there is none."""
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here (Debian: apt-get install {program})")
    port, config = free_port(), folder / "proxy.conf"
    config.write_text(text.format(folder=folder, port=port, **fields))
    options = ["-c", str(config), "-p", str(folder)] if program == "nginx" else ["-db", "-f", str(config)]
    process = subprocess.Popen([program, *options], stderr=subprocess.DEVNULL)

    def failure() -> str | None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/")
        except httpx.TransportError as error:
            return repr(error)
        return None

    try:
        wait_until_answering(process, failure, 20)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)
