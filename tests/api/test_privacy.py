"""Images stay in memory: not on disk, not in the log, not in an answer. And log lines cannot be forged."""

import base64
import http.client
import io
import json
import os
import resource
import subprocess
import sys
import zlib
from pathlib import Path

import httpx
import onnxruntime
import pytest
import structlog
from PIL import Image

from service.model.session import OrtSession
from service.observability.logs import configure_logs
from tests.support.images import png
from tests.support.serving import ROOT, real_server
from tests.support.tiny_model import block_rle, block_strip

STRIP = png(block_strip(c1=(3, 4, 5, 6)))
PNG = {"Content-Type": "image/png"}
MARKER = b"coil-4711-of-a-secret-customer"


def marked_png() -> bytes:
    """A strip with a text inside that must not come out anywhere."""
    chunk = b"tEXt" + b"Comment\0" + MARKER * 100
    text = (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    head = 8 + 25  # signature, IHDR
    return STRIP[:head] + text + STRIP[head:]


def marked_tiff() -> bytes:
    buffer = io.BytesIO()
    description = {270: MARKER.decode()}
    Image.fromarray(block_strip(c1=(3, 4, 5, 6))).save(buffer, "TIFF", tiffinfo=description)
    return buffer.getvalue()


def no_writing() -> None:
    """In the child: the kernel refuses every byte for a file, whoever writes it; pipes and sockets go on."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.slow
def test_images_are_never_written_to_disk(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    attempt = f"open({str(tmp_path / 'probe')!r}, 'wb', buffering=0).write(b'x')"
    probe = subprocess.run([sys.executable, "-c", attempt], preexec_fn=no_writing, capture_output=True)
    assert b"File too large" in probe.stderr  # the guard works

    real_popen = subprocess.Popen

    def guarded(*arguments: object, **options: object) -> object:
        return real_popen(*arguments, preexec_fn=no_writing, **options)  # type: ignore[call-overload]  # whatever came

    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr("tests.support.serving.subprocess.Popen", guarded)
    large = STRIP + bytes(3_000_000)  # beyond what multipart parsers keep in memory by default
    with real_server(tiny_model) as server:
        files = [("file", (f"{number}.png", large, "image/png")) for number in range(8)]
        answer = httpx.post(f"{server.url}/predict", files=files, timeout=60)
        assert [image["status"] for image in answer.json()["images"]] == [200] * 8
        assert answer.json()["images"][7]["classes"][0]["rle"] == block_rle(3, 4, 5, 6)
        assert httpx.post(f"{server.url}/predict", content=large, headers=PNG).status_code == 200
        assert httpx.post(f"{server.url}/overlay", content=large, headers=PNG).status_code == 200
        assert httpx.post(f"{server.url}/predict", content=STRIP[:200], headers=PNG).status_code == 422
        code, _ = server.stop()
    assert code == 0
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_nothing_of_an_image_is_logged_or_answered(tiny_model: Path) -> None:
    good = marked_png()
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    with real_server(tiny_model, log_level="debug") as server:
        calls = [
            ("/predict", good, PNG, 200),
            ("/overlay", good, PNG, 200),
            ("/predict", good[: len(good) - 30], PNG, 422),
            ("/predict", good.replace(b"IDAT", b"IDOT"), PNG, 422),
            ("/predict", marked_tiff(), PNG, 200),
            ("/predict", b"GIF8" + MARKER * 10, PNG, 415),
            ("/predict", b"--x\r\n" + MARKER * 10, multipart, 422),
            ("/predict", MARKER, {"Content-Type": "text/plain"}, 415),
        ]
        answers = []
        for path, body, headers, status in calls:
            answer = httpx.post(server.url + path, content=body, headers=headers)
            assert answer.status_code == status
            answers.append(answer.content)
        _, lines = server.stop()
    assert len([line for line in lines if line["event"] == "request"]) >= len(calls)
    told = json.dumps(lines).encode() + b"".join(answers)
    assert b"422" in told
    for form in (MARKER, MARKER[4:16], MARKER.hex().encode(), MARKER.hex(" ").encode()):
        assert form not in told
    for offset in range(3):
        assert base64.b64encode(MARKER[offset:])[4:-4] not in told


HOSTILE = 'a"}\n{"event": "forged"}\r\n\x1b[2K\x1b[1A\u2028\u2029\x85\x0b\x0c\x00\x9b2J'
IN_A_HEADER = '"}{"event": "forged"}\u2028\u2029\x85\x9b2J'.encode()
"""llhttp, below uvicorn, refuses the rest."""


def raw_answer(url: str, first_line: bytes, headers: bytes = b"", body: bytes = b"") -> bytes:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.connect()
    length = b"Content-Length: %d\r\n" % len(body)
    connection.sock.sendall(
        first_line + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + length + headers + b"\r\n" + body
    )
    answer = b""
    while chunk := connection.sock.recv(65536):
        answer += chunk
    connection.close()
    return answer


@pytest.mark.slow
def test_no_caller_can_forge_a_log_line(tiny_model: Path) -> None:
    """By a path, a query, a file name, a part's name, a header or a request id."""
    quoted = "".join(f"%{byte:02X}" for byte in HOSTILE.encode()).encode()
    named = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\nx\r\n--x--\r\n' % IN_A_HEADER
    with real_server(tiny_model, log_level="debug") as server:
        answers = [
            raw_answer(server.url, b"GET /" + quoted),
            raw_answer(server.url, b"GET /model?" + quoted),
            raw_answer(server.url, b"POST /predict?profile=" + quoted),
            raw_answer(server.url, b"POST /predict", b"X-Filename: %s\r\n" % IN_A_HEADER, b"x"),
            raw_answer(server.url, b"POST /predict", b"X-Request-Id: %s\r\n" % IN_A_HEADER, b"x"),
            raw_answer(server.url, b"POST /predict", b"X-Forwarded-For: %s\r\n" % IN_A_HEADER, b"x"),
            raw_answer(server.url, b"POST /predict", b"Content-Type: %s\r\n" % IN_A_HEADER, b"x"),
            raw_answer(
                server.url, b"POST /predict", b"Content-Type: multipart/form-data; boundary=x\r\n", named
            ),
            raw_answer(server.url, HOSTILE.encode()),
        ]
        server.process.terminate()
        output, _ = server.process.communicate(timeout=60)
    statuses = [int(answer.split()[1]) for answer in answers]
    assert statuses == [404, 200, 422, 415, 415, 415, 415, 422, 400]
    # splitlines also breaks at what some readers of logs take for an end of line.
    events = [json.loads(line)["event"] for line in output.splitlines()]
    assert events.count("request") >= len(answers) - 1
    assert "forged" not in events
    assert all(character.isprintable() or character == "\n" for character in output)


def log_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    configure_logs("info")


@pytest.mark.usefixtures("logs")
def test_a_terminal_obeys_no_caller(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log_to_a_terminal(monkeypatch)
    for value in (HOSTILE, "/\x1b[2K\u2028\x9b2J"):  # with blanks and without: structlog treats them apart
        structlog.get_logger().info("request", path=value)
    lines = capsys.readouterr().out.split("\n")
    assert [line.count("path") for line in lines] == [1, 1, 0]
    for bad in ("\x1b[2K", "\x1b[1A", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x00", "\x9b"):
        assert not any(bad in line for line in lines)


@pytest.mark.usefixtures("logs")
def test_a_traceback_on_a_terminal_shows_no_images(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log_to_a_terminal(monkeypatch)

    def fails() -> None:
        image = MARKER.decode()
        assert image
        raise RuntimeError("reason")

    try:
        fails()
    except RuntimeError as error:
        structlog.get_logger().error("request", exc_info=error)
    output = capsys.readouterr().out
    assert "reason" in output
    assert MARKER.decode() not in output


@pytest.mark.slow
@pytest.mark.parametrize("module", ["service.model.session", "model_export.onnx_export.quantize"])
def test_onnxruntime_reports_to_nobody(tmp_path: Path, module: str) -> None:
    """With telemetry on, loading it leaves an id and a database in the home directory."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    command = f"import {module}, onnxruntime; onnxruntime.SessionOptions()"
    subprocess.run([sys.executable, "-c", command], cwd=ROOT, env=environment, check=True, timeout=120)
    assert [path.name for path in tmp_path.rglob("*")] == []


def test_the_telemetry_of_onnxruntime_is_off_before_a_model_is_opened(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def noted(name: str) -> None:
        real = getattr(onnxruntime, name)

        def call(*arguments: object, **options: object) -> object:
            order.append(name)
            return real(*arguments, **options)

        monkeypatch.setattr(onnxruntime, name, call)

    noted("disable_telemetry_events")
    noted("InferenceSession")
    OrtSession(tiny_model)
    assert order == ["disable_telemetry_events", "InferenceSession"]
