"""Certificates for tests."""

import subprocess
from pathlib import Path
from typing import NamedTuple


class Pair(NamedTuple):
    certificate: Path
    key: Path


def make_pair(folder: Path, name: str, *options: str) -> Pair:
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=localhost"]
    command += [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-out",
        str(pair.certificate),
        "-keyout",
        str(pair.key),
    ]
    subprocess.run([*command, *(options or ["-nodes"])], check=True, capture_output=True)
    return pair
