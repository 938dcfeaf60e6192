"""Errors that calls raise."""

import httpx
from pydantic import ValidationError


class SteelError(Exception):
    """The service refused the request, or could not be reached.

    Args:
        detail: the expected and the received value, in the service's words if it answered.
        status: HTTP status; None if there was no answer.
        request_id: finds the request in the service's log.
        retry_after: seconds to wait, as the service asks.
        parameter: of the request, if the service refuses one.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        parameter: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        self.parameter = parameter

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed later."""
        return self.status in (None, 408, 429, 500, 502, 503, 504)

    @property
    def concerns_file(self) -> bool:
        """Whether the image is refused; any other error concerns the call, and so every file."""
        return self.status in (413, 415, 422) and self.parameter is None


class UnreadableFileError(SteelError):
    """A local file that cannot be read; nothing was sent."""

    transient = False
    concerns_file = True


class MaskError(SteelError):
    """The answer holds no mask, or a code that is broken; to ask again would not help."""

    transient = False


class NotInspectedError(SteelError):
    """The strip does not look like steel: whether it has a defect is not known."""

    transient = False
    concerns_file = True


class ConfigurationError(SteelError):
    """An argument, or a setting of this machine, that cannot be used; no strip was answered."""

    transient = False
    concerns_file = False


def error_from_response(response: httpx.Response) -> SteelError:
    """Read problem+json, or the answer of a proxy in between."""
    parameter = None
    try:
        problem = response.json()
        parameter = problem.get("parameter")
        detail = f"{problem['title']}: {problem['detail']}"
    except (AttributeError, ValueError, KeyError, TypeError):
        detail = f"status {response.status_code}: {response.text[:200]!r}"
    return SteelError(
        detail,
        status=response.status_code,
        request_id=response.headers.get("x-request-id"),
        retry_after=_parse_seconds(response.headers.get("retry-after")),
        parameter=parameter,
    )


def error_from_body(body: bytes, error: ValidationError) -> SteelError:
    """Say in one line that something else answered, such as a page of a proxy."""
    return SteelError(
        f"expected an answer of this service, got {body[:80]!r}: {error.errors()[0]['msg']}", status=None
    )


def _parse_seconds(retry_after: str | None) -> float | None:
    """Parse Retry-After; None for a date, which this service never sends."""
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
