"""HTTPS by the service itself, with a certificate made for the occasion."""

import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from service.http.tls import TlsError, check_certificate
from service.settings import Settings
from tests.support.images import png
from tests.support.serving import ROOT, real_server, start_service
from tests.support.tiny_model import block_rle, block_strip
from tests.support.tls import Pair, make_pair

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make a certificate with")
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def pair(folder: Path) -> Pair:
    return make_pair(folder, "good")


def health(url: str, **environment: str) -> int:
    port = url.rsplit(":", 1)[1]
    environment = {"PATH": os.environ["PATH"], "STEEL_PORT": port} | environment
    command = [sys.executable, "-m", "service.healthcheck"]
    return subprocess.run(command, cwd=ROOT, env=environment, timeout=30).returncode


def test_https_and_nothing_else(tiny_model: Path, pair: Pair) -> None:
    trust = ssl.create_default_context(cafile=pair.certificate)
    with real_server(tiny_model, trust=trust, tls_certificate=pair.certificate, tls_key=pair.key) as server:
        assert server.url.startswith("https://127.0.0.1:")
        with httpx.Client(verify=trust) as client:
            strip = png(block_strip(c2=(3, 4, 5, 6)))
            answer = client.post(f"{server.url}/predict", files={"file": strip})
        assert answer.json()["images"][0]["classes"][1]["rle"] == block_rle(3, 4, 5, 6)
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            httpx.get(f"{server.url}/health/live")
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(server.url.replace("https", "http") + "/health/live")
        assert health(server.url, STEEL_TLS_CERTIFICATE=str(pair.certificate)) == 0
        assert health(server.url) == 1


def test_the_health_check_knows_ready_from_not(tiny_model: Path) -> None:
    with real_server(tiny_model) as server:
        assert health(server.url) == 0
        server.stop()
        assert health(server.url) == 1


def test_files_that_are_no_pair_are_named(folder: Path, pair: Pair) -> None:
    other = make_pair(folder, "other")
    locked = make_pair(folder, "locked", "-passout", "pass:secret")
    (folder / "empty").touch()
    for certificate, key, reason in (
        (folder / "none", pair.key, "STEEL_TLS_CERTIFICATE: .*none cannot be read: No such file"),
        (pair.certificate, folder, "STEEL_TLS_KEY: .* cannot be read: Is a directory"),
        (
            pair.certificate,
            other.key,
            "expected a certificate and its key in PEM, got .*: KEY_VALUES_MISMATCH",
        ),
        (folder / "empty", pair.key, "expected a certificate and its key in PEM"),
        (locked.certificate, locked.key, "STEEL_TLS_KEY: .*got an encrypted one: .*locked.key"),
    ):
        with pytest.raises(TlsError, match=reason):
            check_certificate(certificate, key)


def test_a_wrong_certificate_ends_the_process_with_its_name(tiny_model: Path, folder: Path) -> None:
    process = start_service(tiny_model, tls_certificate=folder / "none.crt", tls_key=folder / "none.key")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"error: STEEL_TLS_CERTIFICATE: {folder}/none.crt cannot be read" in output
    assert "Traceback" not in output


def test_a_certificate_wants_its_key(pair: Pair) -> None:
    with pytest.raises(ValidationError, match="expected both tls_certificate and tls_key"):
        Settings(tls_certificate=pair.certificate)
