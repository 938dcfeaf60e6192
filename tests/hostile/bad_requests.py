"""Requests that are broken, too large, too slow, or meant to confuse."""

import base64
import gzip
import json
import struct

from tests.hostile.bad_images import STRIP
from tests.hostile.rows import RAW, Row, posted, request

HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(STRIP)


def request_rows() -> list[Row]:
    """Rows of whole requests."""
    return [*_forms(), *_parameters(), *_targets(), *_protocol(), *_slow(), *_tensors()]


def part(content: bytes = STRIP, disposition: str = 'form-data; name="file"; filename="a.png"') -> bytes:
    """A part of a form."""
    return b"--b\r\nContent-Disposition: " + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"


def form(name: str, body: bytes, status: int, detail: str) -> Row:
    """A form whose boundary is ``b``."""
    return posted(name, body, status, detail, "multipart/form-data; boundary=b")


def _named(name: str, status: int = 200, detail: str = "") -> Row:
    shown = ascii(name)[:30]
    return form(
        f"form, file name {shown}",
        part(disposition=f'form-data; name="file"; filename="{name}"') + b"--b--\r\n",
        status,
        detail,
    )


def _forms() -> list[Row]:
    end = b"--b--\r\n"
    return [
        form("form, empty", b"", 422, "expected parts named 'file', got none"),
        form("form, end only", end, 422, "expected parts named 'file', got none"),
        posted("form, no boundary", part() + end, 422, "boundary", "multipart/form-data"),
        posted(
            "form, long boundary",
            part() + end,
            422,
            "multipart",
            f"multipart/form-data; boundary={'b' * 999}",
        ),
        form("form, another boundary", (part() + end).replace(b"--b", b"--c"), 422, "multipart body cannot"),
        form("form, no end", part(), 422, "ends before its closing boundary"),
        form("form, end cut", part() + b"--b", 422, "ends before its closing boundary"),
        form("form, end mistyped", part() + b"--c--\r\n", 422, "ends before its closing boundary"),
        form("form, second file cut", part() + part()[:-90], 422, "ends before its closing boundary"),
        form("form, no file name", part(disposition='form-data; name="file"') + end, 200, ""),
        form("form, cut in a header", part()[:20], 422, "file"),
        form("form, 33 files", part(b"x") * 33 + end, 413, "at most 32 files"),
        form("form, 10,000 files", part(b"") * 10_000 + end, 413, "at most 32 files"),
        form(
            "form, 10,000 texts", part(b"", 'form-data; name="x"') * 10_000 + end, 422, "got text named 'x'"
        ),
        form(
            "form, another name",
            part(disposition='form-data; name="image"; filename="a"') + end,
            422,
            "named 'file'",
        ),
        form("form, text", part(b"x", 'form-data; name="file"') + end, 422, "got text"),
        form(
            "form, large text",
            part(b"x" * 2_000_000, 'form-data; name="file"') + end,
            422,
            "got text named 'file'",
        ),
        form("form, no name", part(disposition="form-data") + end, 422, "multipart body cannot be read"),
        form("form, large file", part(b"x" * 21_000_000) + end, 413, "at most 20971520 bytes"),
        form(
            "form, large part header",
            part(disposition="form-data; x=" + "y" * 100_000) + end,
            422,
            "multipart",
        ),
        form("form, many part headers", b"--b\r\n" + b"X: y\r\n" * 10_000 + b"\r\n" + end, 422, "multipart"),
        form("form, a good and a bad file", part() + part(b"no image") + end, 200, ""),
        posted("form, odd charset", part() + end, 200, "", "multipart/form-data; charset=utf-7; boundary=b"),
        posted(
            "form, no such charset",
            part() + end,
            200,
            "",
            "multipart/form-data; charset=none-such; boundary=b",
        ),
        _named("../../../etc/passwd"),
        _named("C:\\\\windows\\\\win.ini"),
        _named("a\tb\x1b[31mred"),
        _named("\u202egpj.exe\U0001f600"),
        _named("%0d%0aX-Evil: 1"),
        _named("n" * 200),
        _named(""),
    ]


def _parameters() -> list[Row]:
    def row(query: str, detail: str, status: int = 422) -> Row:
        body = request(target=f"/predict?{query}", body=STRIP, headers={"Content-Type": RAW})
        return Row(f"parameter {query[:40]}", body, status, detail)

    def deadline(value: str, status: int, detail: str) -> Row:
        headers = {"Content-Type": RAW, "X-Deadline-Ms": value}
        return Row(f"deadline {value[:20]}", request(body=STRIP, headers=headers), status, detail)

    return [
        row("threshold=nan", "each from 0 to 1"),
        row("threshold=1e999", "each from 0 to 1"),
        row("threshold=-0.1", "each from 0 to 1"),
        row("threshold=0.5,0.5,0.5", "one value or 4"),
        row("threshold=" + "0," * 5000, "one value or 4"),
        row("threshold=%00", "each from 0 to 1"),
        row("min_area=-1", "whole number"),
        row("min_area=1e3", "whole number"),
        row("min_area=99999999999999999999", "whole number"),
        row("min_area=%D9%A3", "whole number"),
        row("mask_format=exe", "mask_format"),
        row("profile=../inspection", "one of inspection"),
        row("profile=" + "p" * 9000, "one of inspection"),
        row("nothing=1", "there is no such parameter"),
        row("threshold=0.5&threshold=2", "each from 0 to 1"),
        row("threshold=.5&threshold=.4&threshold=.3&threshold=.2", "", 200),
        row("threshold=.5&threshold=.4&threshold=.3", "one value or 4"),
        row("profile=inspection&profile=inspection", "profile"),
        row("mask_format=rle&mask_format=png", "mask_format"),
        row("mm_per_px=1,5", "mm_per_px"),
        row("bits=9", "bits"),
        row("bits=12", "", 200),  # of a file of 8 bits, which has 8 whatever is said
        row("bits=8&bits=16", "bits"),
        row("%FF%FE=%FF", "there is no such parameter"),
        row("&&&===", "there is no such parameter"),
        deadline("0", 422, "X-Deadline-Ms"),
        deadline("-5", 422, "X-Deadline-Ms"),
        deadline("soon", 422, "X-Deadline-Ms"),
        deadline("9" * 400, 422, "X-Deadline-Ms"),
        posted("content type json", b"{}", 415, "got 'application/json'", "application/json"),
        posted("content type text", b"x", 415, "got 'text/plain'", "text/plain"),
        posted(
            "content type form",
            b"file=x",
            415,
            "got 'application/x-www-form",
            "application/x-www-form-urlencoded",
        ),
        posted("content type nonsense", STRIP, 415, "got ''", ";;;=\xff"),
        *(
            posted(f"content type {kind}", STRIP, 200, "", kind)
            for kind in (
                "image/jpg",
                "image/pjpeg",
                "image/x-png",
                "image/tif",
                "image/x-ms-bmp",
                "IMAGE/PNG; a=b",
            )
        ),
        posted("content type wrong, image good", STRIP, 200, "", "image/jpeg"),
        Row("file name not utf-8", request(body=STRIP, headers={"X-Filename": "\xff\xfe\xe9"}), 200, ""),
        Row("request id with escapes", request(body=STRIP, headers={"X-Request-Id": "a\x1b[2Jb"}), 400, ""),
        Row("request id long", request(body=STRIP, headers={"X-Request-Id": "i" * 9000}), 200, ""),
    ]


def _targets() -> list[Row]:
    def row(method: str, target: str, status: int, detail: str) -> Row:
        return Row(f"{method} {target[:40]}", request(method, target), status, detail)

    return [
        row("GET", "/predict", 405, "GET does not work"),
        row("PUT", "/predict", 405, "PUT does not work"),
        row("TRACE", "/predict", 405, "TRACE does not work"),
        row("CONNECT", "x:443", 400, "this is no proxy"),
        row("GET", "*", 400, "expected a path"),
        row("GET", "x:443", 400, "expected a path"),
        row("GET", "/health/live#x", 400, "without '#'"),
        row("OPTIONS", "*", 404, "there is no"),
        row("GET", "/", 200, ""),
        row("GET", "/../../etc/passwd", 404, "there is no"),
        row("GET", "/static-offline-docs/../../../etc/passwd", 404, "there is no"),
        row("GET", "/static-offline-docs/%2e%2e/%2e%2e/%2e%2e/etc/passwd", 404, "there is no"),
        row("GET", "/static-offline-docs/..%5c..%5cwin.ini", 404, "there is no"),
        row("GET", "/metrics%00", 404, "there is no"),
        row("GET", "//predict", 404, "there is no"),
        row("GET", "/%ff%fe", 404, "there is no"),
        row("GET", "/" + "a" * 40_000, 431, "at most 32768 bytes"),
        row("GET", "/model?" + "a=1&" * 9000, 431, "at most 32768 bytes"),
    ]


def _protocol() -> list[Row]:
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n"
    size = b"%x\r\n" % len(STRIP)
    many = b"".join(b"X-%d: y\r\n" % number for number in range(9000))
    return [
        Row("noise", bytes(range(128, 256)) * 8, 400, "Invalid HTTP"),
        Row("line feeds", b"\n" * 50, None, "", half_closed=True),
        Row("http/0.9", b"GET /health/live\r\n\r\n", 400, "expected HTTP/1.1"),
        Row("http/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "got HTTP/2.0"),
        Row("http/3.0", b"GET /health/live HTTP/3.0\r\n\r\n", 400, "got HTTP/3.0"),
        Row(
            "tls greeting",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
            400,
            "got a TLS greet",
        ),
        Row("ssh greeting", b"SSH-2.0-OpenSSH_9.9\r\n", 400, "a greeting of SSH"),
        Row("smtp", b"EHLO mill.example\r\n", 400, "a greeting of SMTP"),
        Row("sip", b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm\r\n\r\n", 400, "got SIP/2.0"),
        Row("rtsp", b"OPTIONS / RTSP/1.0\r\nCSeq: 1\r\n\r\n", 400, "got RTSP/1.0"),
        Row("ice", b"GET /health/live ICE/1.0\r\n\r\n", 400, "got ICE/1.0"),
        Row("redis", b"*1\r\n$4\r\nPING\r\n", 400, "Invalid HTTP"),
        Row("remote desktop", b"\x03\x00\x00\x13\x0e\xe0" + bytes(13), 400, "Invalid HTTP"),
        Row("proxy protocol", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + HEAD, 400, "the PROXY protocol"),
        Row(
            "proxy protocol 2",
            b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12),
            400,
            "the PROXY protocol",
        ),
        Row("unknown method", b"STEEL / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "Invalid HTTP"),
        Row("space before a colon", HEAD + b"A : b\r\n" + LENGTH + STRIP, 400, "Invalid HTTP"),
        Row("folded header", HEAD + b"A: b\r\n c\r\n" + LENGTH + STRIP, 400, "Invalid HTTP"),
        Row("zero byte in a header", HEAD + b"A: b\x00c\r\n" + LENGTH + STRIP, 400, "Invalid HTTP"),
        Row(
            "bare carriage return in a header", HEAD + b"A: b\rX: c\r\n" + LENGTH + STRIP, 400, "Invalid HTTP"
        ),
        Row("header without a name", HEAD + b": b\r\n" + LENGTH + STRIP, 400, "Invalid HTTP"),
        Row("two lengths", HEAD + b"Content-Length: 3\r\n" + LENGTH + STRIP, 400, "Invalid HTTP"),
        Row("length and chunks", chunked + LENGTH + STRIP, 400, "Invalid HTTP"),
        Row(
            "chunks, then something",
            HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n",
            400,
            "Invalid HTTP",
        ),
        Row("negative length", HEAD + b"Content-Length: -1\r\n\r\n", 400, "Invalid HTTP"),
        Row("length in hex", HEAD + b"Content-Length: 0x10\r\n\r\n", 400, "Invalid HTTP"),
        Row(
            "length beyond numbers",
            HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n",
            400,
            "Invalid HTTP",
        ),
        Row(
            "length of a terabyte",
            HEAD + b"Content-Length: 1099511627776\r\n\r\n",
            413,
            "at most 33554432",
            answered_late=True,
        ),
        Row("length, and less", HEAD + LENGTH + STRIP[:50], None, "", half_closed=True),
        Row("chunk size no number", chunked + b"\r\nxyz\r\n", 400, "Invalid HTTP"),
        Row("chunk size beyond numbers", chunked + b"\r\n" + b"f" * 40 + b"\r\n", 400, "Invalid HTTP"),
        Row("chunk longer than said", chunked + b"\r\n2\r\nabcdef\r\n0\r\n\r\n", 400, "Invalid HTTP"),
        Row("chunks, good", chunked + b"\r\n" + size + STRIP + b"\r\n0\r\n\r\n", 200, ""),
        Row(
            "chunks of a byte",
            chunked + b"\r\n" + b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n",
            415,
            "begins with the bytes",
        ),
        Row(
            "chunks, endless trailer",
            chunked + b"\r\n" + size + STRIP + b"\r\n0\r\n" + many,
            431,
            "at most 32768",
        ),
        Row("many headers", HEAD + many + LENGTH + STRIP, 431, "at most 32768 bytes"),
        Row("large header", HEAD + b"A: " + b"b" * 100_000 + b"\r\n" + LENGTH + STRIP, 431, "at most 32768"),
        Row("endless header", HEAD + b"A: " + b"b" * 100_000, 431, "at most 32768"),
        Row("endless request line", b"GET /" + b"a" * 100_000, 431, "at most 32768"),
        Row(
            "no host", b"GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "1 Host header, got 0"
        ),
        *(
            Row(f"host {host!a}", request("GET", "/health/live", headers={"Host": host}), 400, "Host header")
            for host in (
                "",
                "a b",
                "a\tb",
                "\xe9",
                "user@x",
                "x:99999",
                "x:port",
                "x/y",
                "x, y",
                "[x]",
                "[::1",
                "x?",
            )
        ),
        Row("two hosts", HEAD + b"Host: y\r\n" + LENGTH + STRIP, 400, "1 Host header, got 2"),
        Row("chunks, one large trailer", chunked + b"\r\n0\r\nA: " + b"b" * 500_000, 431, "at most 32768"),
        Row("chunk with a large extension", chunked + b"\r\n1;" + b"b" * 500_000, 431, "at most 32768"),
        Row(
            "whole url",
            b"GET ftp://evil.example/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            400,
            "this is no proxy",
        ),
        Row(
            "websocket",
            b"GET /predict HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==\r\n\r\n",
            405,
            "GET does not work",
        ),
        *(
            Row(
                f"upgrade to {to}, {how}", HEAD.replace(b"close", b"close, Upgrade") + upgrade + body, 200, ""
            )
            for to, upgrade in (
                ("h2c", b"Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"),
                ("websocket", b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
                ("tls", b"Upgrade: TLS/1.0\r\n"),
                ("nothing", b""),
            )
            for how, body in (
                ("announced", LENGTH + STRIP),
                ("chunks", b"Transfer-Encoding: chunked\r\n\r\n" + size + STRIP + b"\r\n0\r\n\r\n"),
            )
        ),
        Row(
            "upgrade, and a request as its body",
            HEAD.replace(b"close", b"close, Upgrade")
            + b"Upgrade: h2c\r\nContent-Length: 38\r\n\r\nGET /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
            415,
            "begins with the bytes 47 45 54",
        ),
        Row(
            "expect, and never send",
            HEAD + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n",
            413,
            "at most 33554432",
        ),
        Row("body of a get", request("GET", "/health/live", b"x" * 100_000), 200, ""),
    ]


def _slow() -> list[Row]:
    """The server of the test waits for a second only."""
    return [
        Row("silence", b"", 408, "head did not arrive"),
        Row("half a request line", b"POST /pre", 408, "head did not arrive"),
        Row("half a head", HEAD, 408, "head did not arrive"),
        Row("head and no body", HEAD + LENGTH, 408, "body did not arrive"),
        Row("half a body", HEAD + LENGTH + STRIP[:99], 408, "body did not arrive"),
        Row("half a head, then gone", HEAD, None, "", half_closed=True),
        Row("empty line, then silence", b"\r\n", 408, "head did not arrive"),
    ]


INFER = "/v2/models/tiny/infer"
HEADER = "Inference-Header-Content-Length"


def _tensors() -> list[Row]:
    """The Open Inference Protocol."""

    def row(name: str, body: bytes, status: int, detail: str, headers: dict[str, str] | None = None) -> Row:
        return Row(f"tensor, {name}", request(target=INFER, body=body, headers=headers), status, detail)

    def binary(
        name: str, data: bytes, status: int, detail: str, size: int | None = None, count: int = 1
    ) -> Row:
        parameters = {"binary_data_size": len(data) if size is None else size}
        text = _inputs(shape=[count], parameters=parameters)
        return row(name, text + data, status, detail, {HEADER: str(len(text))})

    strip = base64.b64encode(STRIP).decode()
    return [
        row("good", _inputs(shape=[1], data=[strip]), 200, ""),
        binary("good, binary", struct.pack("<I", len(STRIP)) + STRIP, 200, ""),
        binary("32 strips", 32 * (struct.pack("<I", len(STRIP)) + STRIP), 200, "", count=32),
        row("no JSON", b"\xff\xfe", 422, "Invalid JSON"),
        row("brackets", b"[" * 1_000_000, 413, "at most 288 values"),
        row("numbers", b"[" + b"0," * 500_000 + b"0]", 413, "at most 288 values"),
        row("objects", b"[" + b"{}," * 500_000 + b"{}]", 413, "at most 288 values"),
        row("a number of a million digits", b'{"id":' + b"9" * 1_000_000 + b"}", 422, ""),
        row("a long name", _inputs(name="n" * 500_000, shape=[1]), 422, "…"),
        binary("a large file, by its length", struct.pack("<I", 20_971_521), 413, "at most 20971520"),
        row("a shape of a billion", _inputs(shape=[10**9], data=[strip]), 413, "expected at most 32 images"),
        row(
            "no base64",
            _inputs(shape=[1], data=["!" * 1_000_000]),
            422,
            "image[0]: expected an image file in base64",
        ),
        binary(
            "an element of 4 GB",
            b"\xff" * 8,
            413,
            "image[0]: expected at most 20971520 bytes, got 4294967295",
        ),
        binary("cut short", struct.pack("<I", 99) + STRIP[:9], 422, "expected 99 bytes, its length, got 9"),
        binary("size of a terabyte", STRIP, 422, "bytes that follow the JSON", size=2**40),
        binary(
            "a million empty elements",
            bytes(4_000_000),
            422,
            "expected 32 elements by its shape, got more bytes",
            count=32,
        ),
        row(
            "header length beyond the body",
            b"{}",
            422,
            "at most the length of the body, 2",
            {HEADER: "2147483647"},
        ),
        row("header length beyond numbers", b"{}", 422, HEADER, {HEADER: "9" * 5000}),
        row("no gzip", b"\x1f\x8b" + bytes(99), 422, "no gzip data", {"Content-Encoding": "gzip"}),
        row(
            "gzip of 64 MB",
            gzip.compress(bytes(2**26)),
            413,
            "at most 33554432",
            {"Content-Encoding": "gzip"},
        ),
        row("brotli", b"x", 415, "gzip, deflate or none", {"Content-Encoding": "br"}),
        Row("tensor, half a body", HEAD.replace(b"/predict", INFER.encode()) + LENGTH, 408, "did not arrive"),
        Row(
            "tensor, another model",
            request(target="/v2/models/..%2f..%2fetc/infer", body=b"{}"),
            404,
            "there is no",
        ),
    ]


def _inputs(name: str = "image", **fields: object) -> bytes:
    tensor = {"name": name, "datatype": "BYTES"} | fields
    return json.dumps({"inputs": [tensor], "outputs": [{"name": "rle"}]}).encode()
