"""What a call raises."""

import httpx


class SteelError(Exception):
    """The service refused, or could not be reached.

    Args:
        detail: what came and what is wanted, in the service's words where it has any.
        status: HTTP status; None if there was no answer.
        request_id: under which the service's log has more.
        retry_after: seconds that the service asks to wait.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after

    @property
    def passing(self) -> bool:
        """Whether the same call may succeed a little later."""
        return self.status in (None, 429, 502, 503)


class UnreadableFileError(SteelError):
    """A file that cannot be read here, so nothing was sent."""

    passing = False


def error_of(response: httpx.Response) -> SteelError:
    """Read problem+json, or whatever a proxy in between answered."""
    try:
        problem = response.json()
        detail = f"{problem['title']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        detail = f"status {response.status_code}: {response.text[:200]!r}"
    return SteelError(
        detail,
        status=response.status_code,
        request_id=response.headers.get("x-request-id"),
        retry_after=_seconds(response.headers.get("retry-after")),
    )


def _seconds(retry_after: str | None) -> float | None:
    """Read Retry-After; dates, which this service does not send, are left to the client's own patience."""
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
