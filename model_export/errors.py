"""Errors that end a command of ``python -m model_export`` with their message."""


class DataError(Exception):
    """Missing or invalid input: strips, labels, checkpoints or model files; the message names them."""


class TrainingError(Exception):
    """A training that cannot go on, such as one whose loss is not a number."""


class ParityError(Exception):
    """The exported file answers differently from the network in torch; nothing was written."""


class PrecisionLossError(ParityError):
    """A file in less than float32 answers worse than the network in torch."""
