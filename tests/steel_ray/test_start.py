"""What ``python -m steel_ray`` refuses before it starts Ray, and HTTPS."""

import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.steel_ray.processes import running_replicas
from tests.support.serving import ROOT, service_environment
from tests.support.tls import make_pair


def test_what_is_wrong_is_said_in_one_line(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "1")
        for settings, code, line in (
            ({"port": port}, 1, f"error: STEEL_PORT: port {port} of 127.0.0.1 is in use by another program"),
            ({"prot": 1}, 2, "error: STEEL_PROT: there is no such setting; did you mean STEEL_PORT?"),
            (
                {"tls_certificate": "/none", "tls_key": "/none"},
                2,
                "error: STEEL_TLS_CERTIFICATE: expected none with RAY_SERVE_ENABLE_HA_PROXY=1, since Ray's "
                "HAProxy speaks no TLS",
            ),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "steel_ray"],
                cwd=ROOT,
                env=service_environment(tiny_model, **settings),
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert (done.returncode, done.stdout, done.stderr) == (code, "", f"{line}\n")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here to make a certificate with")
def test_https_where_a_certificate_is_set(tiny_model: Path, tmp_path: Path) -> None:
    pair, log = make_pair(tmp_path, "pair"), tmp_path / "log"
    tls = {"STEEL_TLS_CERTIFICATE": str(pair.certificate), "STEEL_TLS_KEY": str(pair.key)}
    with running_replicas(tiny_model, 1, log, **tls) as (_, url):
        url = url.replace("http://", "https://")
        trust = ssl.create_default_context(cafile=pair.certificate)
        assert httpx.get(f"{url}/health/ready", verify=trust).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url.replace('https', 'http')}/health/ready")
        assert f"Page: {url}/ from 1 replicas" in log.read_text()
