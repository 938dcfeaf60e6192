"""What a head may name as host and target, and which protocols are recognised."""

import pytest

from service.errors import BadRequestError
from service.http.request_head import check_host, check_target, foreign_protocol


@pytest.mark.parametrize(
    "host",
    [
        b"x",
        b"localhost:8000",
        b"steel_upstream",
        b"mill.example.",
        b"mill.example:",
        b"mill.example:00080",
        b"%C3%A9.example",
        b"127.0.0.1:65535",
        b"[::1]",
        b"[2001:db8::1]:8000",
        b"[::ffff:10.0.0.1]",
        b"[fe80::1%25eth0]:8000",
    ],
)
def test_names_and_addresses_are_hosts(host: bytes) -> None:
    check_host(host)


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b" ",
        b":80",
        b"a b",
        b"a\tb",
        b"a\x00b",
        b"\xc3\xa9.example",
        b"user@x",
        b"user:word@x",
        b"x:65536",
        b"x:-1",
        b"x:80:80",
        b"x:8o",
        b"x:" + b"9" * 9000,
        b"x/",
        b"x?",
        b"x#",
        b"http://x",
        b"x, y",
        b"%zz",
        b"::1",
        b"[::1",
        b"[]",
        b"[::::]",
        b"[x]",
        b"[::1]x",
        b"x\n",
    ],
)
def test_anything_else_is_no_host(host: bytes) -> None:
    with pytest.raises(BadRequestError, match="expected a Host header") as caught:
        check_host(host)
    assert len(caught.value.detail) < 400


def test_a_target_is_a_path() -> None:
    for good in (b"/", b"/predict?profile=kaggle", b"//x", b"/v2/models/a%23b"):
        check_target(b"POST", good)
    check_target(b"OPTIONS", b"*")
    check_target(b"POST", b"HTTP://x:80/predict?profile=kaggle")
    with pytest.raises(BadRequestError, match="expected a Host header"):
        check_target(b"GET", b"http://user@x/")
    for method, target in (
        (b"GET", b"*"),
        (b"GET", b""),
        (b"GET", b"x"),
        (b"GET", b"/a#b"),
        (b"GET", b"http://x"),
        (b"GET", b"ftp://x/"),
        (b"CONNECT", b"x:443"),
    ):
        with pytest.raises(BadRequestError, match="expected a path such as /predict"):
            check_target(method, target)


def test_other_protocols_are_named() -> None:
    for opening, name in (
        (b"GET / HTTP/1.1\r\n", None),
        (b"\r\nGET / HTTP/1.0\r\n", None),
        (b"GET / HTTP/1.1 SIP/2.0\r\n", None),
        (b"GET / HT", None),
        (b"nonsense", None),
        (b"INVITE sip:bob@x SIP/2.0\r\n", "SIP/2.0"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2.0"),
    ):
        assert foreign_protocol(opening) == name
    assert "use http://" in (foreign_protocol(b"\x16\x03\x01\x02\x00") or "")
