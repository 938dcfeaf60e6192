"""Where the service listens, and why it cannot."""

import contextlib
import socket

import pytest

from service.http.listen import ListenError, listen, url_of


def test_a_port_in_use_is_named_with_its_setting() -> None:
    (taken,) = listen("127.0.0.1", 0)
    with taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"^STEEL_PORT: port {port} of 127.0.0.1 is in use"):
            listen("127.0.0.1", port)
        with pytest.raises(ListenError, match=f"^STEEL_PORT: port {port} of 0.0.0.0 is in use"):
            listen("0.0.0.0", port)


def test_a_port_that_is_bound_by_a_program_that_is_starting_is_in_use() -> None:
    (first,) = listen("127.0.0.1", 0)  # no loop accepts yet
    with first, socket.create_connection(first.getsockname(), timeout=10):
        pass


@pytest.mark.parametrize("host", ["192.0.2.1", "nosuchhost.invalid", "a..b", "300.1.1.1", "x" * 70, "::g"])
def test_another_host_is_named_with_its_setting(host: str) -> None:
    with pytest.raises(ListenError, match=r"^STEEL_HOST: expected an address of this machine"):
        listen(host, 0)


def test_a_name_means_all_its_addresses_that_this_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: found)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(one) for one in listen("mill.example", 0)]
        assert [one.getsockname()[0] for one in sockets] == ["127.0.0.1", "127.0.0.2"]


def test_a_url_names_scheme_host_and_port() -> None:
    assert url_of("127.0.0.1", 80, tls=False) == "http://127.0.0.1:80"
    assert url_of("::1", 8000, tls=True) == "https://[::1]:8000"
