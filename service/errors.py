"""The errors of the service, each with its HTTP status.

ServiceError
├── BadRequestError            400
├── UnauthorizedError          401
├── ForbiddenError             403
├── NotFoundError              404
├── RequestTimeoutError        408
├── ReloadRunningError         409
├── PayloadTooLargeError       413
├── UnsupportedMediaTypeError  415
├── RangeNotSatisfiableError   416
├── InvalidParameterError      422
├── InvalidImageError          422
├── NotInspectedError          422
├── KeysRefusedError           422
├── ModelRefusedError          422
├── QueueFullError             429  + Retry-After
├── HeadTooLargeError          431
├── ClientLeftError            499  (only the log shows it)
├── InferenceError             500  (its message goes to the log, never to the caller)
├── NotSupportedError          501
├── UnavailableError           503  + Retry-After
└── DeadlineExceededError      504

ModelFileError and DeviceError stop the service before it is ready, and refuse a reload; DeviceLostError and
EngineFailedError end the process.
"""

from http import HTTPStatus
from typing import Self


class ServiceError(Exception):
    """A refusal with a message for the caller: expected X, got Y."""

    status: int = HTTPStatus.INTERNAL_SERVER_ERROR
    title: str = "Internal error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def about(self, subject: str) -> Self:
        """Return the same error; its message begins with its subject, one of several."""
        kind = type(self)  # copy.copy would call its constructor, which may need more than the message
        other = kind.__new__(kind)
        other.__dict__.update(self.__dict__)
        other.detail = f"{subject}: {self.detail}"
        other.args = (other.detail,)
        return other


class BadRequestError(ServiceError):
    """The bytes are not HTTP."""

    status = HTTPStatus.BAD_REQUEST
    title = "Bad Request"


class NotFoundError(ServiceError):
    """No model of this name or version serves."""

    status = HTTPStatus.NOT_FOUND
    title = "Not Found"


class NotSupportedError(ServiceError):
    """A part of a protocol that the service does not have."""

    status = HTTPStatus.NOT_IMPLEMENTED
    title = "Not Implemented"


class RequestTimeoutError(ServiceError):
    """The caller sends too slowly."""

    status = HTTPStatus.REQUEST_TIMEOUT
    title = "Request Timeout"


class HeadTooLargeError(ServiceError):
    """The request line and headers are longer than the limit."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    title = "Request Header Fields Too Large"


class UnauthorizedError(ServiceError):
    """An API key is configured and this one is missing or wrong."""

    status = HTTPStatus.UNAUTHORIZED
    title = "API key missing or wrong"


class ForbiddenError(ServiceError):
    """The configuration of the service allows this to no caller."""

    status = HTTPStatus.FORBIDDEN
    title = "Not allowed"


class ReloadRunningError(ServiceError):
    """The model is being reloaded already."""

    status = HTTPStatus.CONFLICT
    title = "Reload under way"


class KeysRefusedError(ServiceError):
    """The file of API keys cannot be used; the old keys stay valid, and the model was not reloaded."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "API keys refused"


class ModelRefusedError(ServiceError):
    """The new model cannot be trusted or does not run; the old one continues."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Model refused"


class PayloadTooLargeError(ServiceError):
    """More bytes, files, pixels or tiles than the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "Payload too large"


class UnsupportedMediaTypeError(ServiceError):
    """Not an image type that the service decodes."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    title = "Unsupported media type"


class RangeNotSatisfiableError(ServiceError):
    """A range of a file begins behind its end; ``size`` is the length of the file in bytes."""

    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    title = "Range Not Satisfiable"

    def __init__(self, detail: str, size: int) -> None:
        super().__init__(detail)
        self.size = size


class InvalidParameterError(ServiceError):
    """A parameter is wrong; ``name`` says which."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Invalid parameter"

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(detail)
        self.name = name


class InvalidImageError(ServiceError):
    """The image cannot be decoded, is truncated or is too small."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Invalid image"


class NotInspectedError(ServiceError):
    """The strip does not look like steel, and the protocol has no words for that but an error."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Not inspected"


class RetryableError(ServiceError):
    """A refusal that the caller may retry after ``retry_after`` whole seconds."""

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class QueueFullError(RetryableError):
    """The queue in front of the model is full."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    title = "Queue full"


class UnavailableError(RetryableError):
    """The service is not ready yet, or is draining."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Not ready"


class DeadlineExceededError(ServiceError):
    """The request's own deadline passed, or can no longer be met."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    title = "Deadline exceeded"


class ClientLeftError(ServiceError):
    """The client disconnected before its answer; 499 is nginx's status for it."""

    status = 499
    title = "Client left"


class InferenceError(ServiceError):
    """The model failed."""


class ModelFileError(Exception):
    """The model file cannot be trusted: unreadable, foreign, or wrong on its golden strip."""


class DeviceError(Exception):
    """The execution provider does not work on this machine."""


class DeviceLostError(DeviceError):
    """The device fails under a running model; only a new process can use it again."""


class EngineFailedError(Exception):
    """This process can answer no more strips."""


def unexpected(error: BaseException) -> InferenceError:
    """Wrap an unexpected exception, a bug or a lack of memory, so that only this file fails."""
    failure = InferenceError(repr(error))
    failure.__cause__ = error
    return failure


def forget_frames(error: ServiceError) -> None:
    """Drop the tracebacks of a refusal and of its causes; internal errors keep theirs for the log.

    Frames of a traceback hold the request, which holds the error: until the garbage collector runs, its body
    and pixels would stay in memory, beyond every limit.
    """
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return
    one: BaseException | None = error
    while one is not None:
        one.__traceback__ = None
        one = one.__cause__ or one.__context__


def counted(number: int, noun: str) -> str:
    """Return a number with a noun in its plural, ``2 files``, or singular, ``1 file``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def explain_os_error(error: OSError) -> str:
    """Return the file and the reason without the number of the error."""
    reason = error.strerror or str(error)
    return reason if error.filename is None else f"{error.filename}: {reason}"


def file_too_large(max_bytes: int) -> PayloadTooLargeError:
    """Refuse an image file for its size."""
    return PayloadTooLargeError(f"expected an image file of at most {max_bytes} bytes, got more")


def wrong_pixels(kind: str, pixels: str) -> InvalidImageError:
    """Refuse an image file for the type of its pixels.

    Args:
        kind: of the file, e.g. PNG.
        pixels: their type, as its decoder names it.
    """
    return InvalidImageError(
        f"expected pixels of 8-bit grey or RGB or 16-bit grey, got a {kind} with pixels of type {pixels!r}"
    )
