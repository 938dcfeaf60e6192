"""Errors as RFC 9457 problem details, one shape everywhere."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from service.errors import InvalidParameterError, ServiceError

MEDIA_TYPE = "application/problem+json"


def optional(description: str) -> Any:
    """Declare a field of an answer that is left out where it has no value."""
    return Field(None, description=description, exclude_if=lambda value: value is None)


class Problem(BaseModel):
    """An error as RFC 9457 describes it, sent as `application/problem+json`."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(
        description="identifies the kind of problem", examples=["urn:steel:problem:invalid-image"]
    )
    title: str = Field(examples=["Invalid image"], description="the kind of problem, for people")
    status: int = Field(examples=[422], description="the HTTP status of this file or request")
    detail: str = Field(
        description="what was expected, and what was received",
        examples=["expected an image of at least 1600x256 pixels, got a PNG of 800x600"],
    )
    parameter: str | None = optional(description="the parameter that is wrong, if one is")
    error: str | None = optional(
        description="on /v2 paths the detail again, as the Open Inference Protocol requires"
    )
    request_id: str | None = optional(description="as in the X-Request-Id header and the service's log")


def problem_of(error: ServiceError, request_id: str | None = None, *, v2: bool = False) -> Problem:
    """Describe an error to the caller; the reason of an internal error goes into the log only.

    Args:
        error: the error.
        request_id: of the request.
        v2: whether the request speaks the Open Inference Protocol, whose clients read ``error``.
    """
    detail = error.detail
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        detail = "the service failed on this request; its log has the reason under the request id"
    extra = {"parameter": error.name} if isinstance(error, InvalidParameterError) else {}
    return Problem(
        type=problem_type(error.title),
        title=error.title,
        status=error.status,
        detail=detail,
        request_id=request_id,
        error=detail if v2 else None,
        **extra,
    )


def problem_type(title: str) -> str:
    """Return the URN that identifies problems of this title."""
    return f"urn:steel:problem:{title.lower().replace(' ', '-')}"
