"""Errors that end a command of ``python -m model_export`` with their message."""


class DataError(Exception):
    """Missing or invalid input: strips, labels, checkpoints or model files; the message names them."""


class OptionError(ValueError):
    """An option that cannot be, by itself or beside the others; the message names it."""


class TrainingError(Exception):
    """A training that cannot go on, such as one whose loss is not a number."""


class ParityError(Exception):
    """The exported file answers differently from the network in torch; nothing was written."""


class PrecisionLossError(ParityError):
    """A file in less than float32 answers worse than the network in torch."""


def check_least(option: str, value: int | None, least: int) -> None:
    """Check a number of the command line; None is not given.

    Raises:
        OptionError: naming the option.
    """
    if value is not None and value < least:
        raise OptionError(f"{option}: expected {least} or more, got {value}")
