"""Check of the certificate for HTTPS."""

import ssl
from pathlib import Path


class TlsError(Exception):
    """The certificate or its key cannot be used."""


def check_certificate(certificate: Path, key: Path) -> None:
    """Check a certificate and its key; uvicorn would not say which file is wrong.

    Raises:
        TlsError: if a file cannot be read, is not PEM or is encrypted, or the two do not match.
    """
    for setting, path in (("STEEL_TLS_CERTIFICATE", certificate), ("STEEL_TLS_KEY", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise TlsError(f"{setting}: {path} cannot be read: {error.strerror}") from error

    def no_password() -> str:
        # OpenSSL would prompt on the terminal, and a service has none.
        raise TlsError(f"STEEL_TLS_KEY: expected a key without a passphrase, got an encrypted one: {key}")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, no_password)
    except ssl.SSLError as error:
        raise TlsError(
            f"STEEL_TLS_CERTIFICATE, STEEL_TLS_KEY: expected a certificate and its key in PEM, got "
            f"{certificate} and {key}: {error.reason or error}"
        ) from error
