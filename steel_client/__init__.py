"""Client library of the service: strips in, typed results with masks as numpy arrays out."""

from steel_client.client import AsyncSteelClient, SteelClient
from steel_client.errors import ConfigurationError, MaskError, NotInspectedError, SteelError
from steel_client.files import Outcome
from steel_client.results import Image, SteelClass

__all__ = [
    "AsyncSteelClient",
    "ConfigurationError",
    "Image",
    "MaskError",
    "NotInspectedError",
    "Outcome",
    "SteelClass",
    "SteelClient",
    "SteelError",
]
