"""Errors that end a command of ``python -m model_export`` with their message."""


class DataError(Exception):
    """Missing or invalid input: strips, labels, checkpoints or model files; the message names them."""


class ParityError(Exception):
    """The exported file answers differently from the network in torch; nothing was written."""
