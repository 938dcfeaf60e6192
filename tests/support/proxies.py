"""nginx and HAProxy in front of a server, each with a configuration of its own in a temporary folder."""

import re
import shutil
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.serving import ROOT, free_port, wait_until_answering

_PREFIX = "/line 3/steel"
"""With a blank: what is put together from text breaks."""

_NGINX = """
daemon off;
user root;
worker_processes 1;
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
    {servers}
}}
"""
_NGINX_SERVER = """
    upstream steel {{ server {address}; {upstream} }}
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 0;
        location "{prefix}/" {{
            proxy_pass http://steel/;
            {location}
        }}
    }}
"""
_HAPROXY = """
global
    maxconn 200
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    {options}
frontend callers
    bind 127.0.0.1:{port}
    {frontend}
    default_backend steel
backend steel
    {backend}
    server one {address}
"""

_BELOW = f'''acl below path,url_dec -m beg "{_PREFIX}/"
    http-request deny deny_status 404 unless below'''


@dataclass(frozen=True)
class Proxy:
    """One way to configure a proxy."""

    program: str
    upstream: str = ""
    """Of nginx."""
    location: str = ""
    """Of nginx, or options of HAProxy."""
    prefix: str = ""
    """That it strips."""
    documented: bool = False
    """nginx as docs/operations.md has it, without TLS."""
    buffers: bool = True
    """Whether a request is passed on only when it has arrived whole."""

    @property
    def path(self) -> str:
        """The prefix as a request has it."""
        return urllib.parse.quote(self.prefix)

    @contextmanager
    def running(self, url: str, folder: Path) -> Iterator[str]:
        """Run it in front of a server; yield its own URL, with the prefix."""
        if shutil.which(self.program) is None:
            pytest.skip(f"no {self.program} here (Debian: apt-get install nginx-light haproxy)")
        port = free_port()
        config = folder / f"{self.program}.conf"
        config.write_text(self._configuration(url.removeprefix("http://"), port, folder))
        command: dict[str, list[str | Path]] = {
            "nginx": ["nginx", "-c", config, "-p", folder],
            "haproxy": ["haproxy", "-db", "-f", config],
        }
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command[self.program], stdout=log, stderr=log)
        own = f"http://127.0.0.1:{port}{self.path}"
        try:
            wait_until_answering(process, _failure(own), 60)
            yield own
        finally:
            process.terminate()
            process.wait(timeout=60)

    def _configuration(self, address: str, port: int, folder: Path) -> str:
        if self.program == "haproxy":
            path = f"http-request replace-path {self.path}/(.*) /\\1" if self.prefix else ""
            return _HAPROXY.format(
                options=self.location,
                frontend=_BELOW if self.prefix else "",
                backend=path,
                port=port,
                address=address,
            )
        if self.documented:
            return _NGINX.format(folder=folder, servers=_documented(address, port))
        server = _NGINX_SERVER.format(
            address=address, port=port, prefix=self.prefix, upstream=self.upstream, location=self.location
        )
        return _NGINX.format(folder=folder, servers=server)


def _documented(address: str, port: int) -> str:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    found = re.search(r"```nginx\n(.*?)```", page, re.DOTALL)
    assert found is not None
    lines = [line for line in found[1].splitlines() if "ssl_certificate" not in line]
    text = "\n".join(lines).replace("127.0.0.1:8000", address)
    return text.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")


def _failure(url: str) -> Callable[[], str | None]:
    def failure() -> str | None:
        try:
            status = httpx.get(f"{url}/health/live").status_code
        except httpx.TransportError as error:
            return repr(error)
        return None if status == 200 else f"status {status}"

    return failure


_VERSION = "proxy_http_version 1.1; "
_WEB_SOCKETS = (
    f'{_VERSION}proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; '
    "proxy_set_header Host $host;"
)
_UNBUFFERED = f'{_VERSION}proxy_set_header Connection ""; proxy_request_buffering off; proxy_buffering off;'

PROXIES = {
    "nginx, plain": Proxy("nginx"),
    "nginx, keep-alive": Proxy("nginx", "keepalive 8;", f'{_VERSION}proxy_set_header Connection "";'),
    "nginx, web sockets": Proxy("nginx", "", _WEB_SOCKETS),
    "nginx, prefix": Proxy("nginx", prefix=_PREFIX),
    "nginx, unbuffered": Proxy("nginx", "keepalive 8;", _UNBUFFERED, buffers=False),
    "nginx, documented": Proxy("nginx", documented=True, buffers=False),
    "haproxy, plain": Proxy("haproxy", buffers=False),
    "haproxy, prefix": Proxy("haproxy", prefix=_PREFIX, buffers=False),
    "haproxy, buffered": Proxy("haproxy", location="option http-buffer-request"),
    "haproxy, close": Proxy("haproxy", location="option httpclose", buffers=False),
    "haproxy, shared": Proxy("haproxy", location="http-reuse always", buffers=False),
}


def behind_proxy(program: str, url: str, folder: Path) -> AbstractContextManager[str]:
    """Start nginx or HAProxy, which strips a path; return the URL of the service behind it, with the path."""
    return PROXIES[f"{program}, prefix"].running(url, folder)
