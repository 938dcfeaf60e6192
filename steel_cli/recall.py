"""Answers from lines of a journal, so that what is made of them needs no second request."""

from typing import Any

from steel_cli.answer import Answer, Strip
from steel_client.errors import SteelError
from steel_client.results import Image, ImageResult, ModelSummary, PredictResponse, ProfileUsed


def recall(strip: Strip, line: dict[str, Any]) -> Answer:
    """Return the answer that a line holds.

    Its response has the model's name, version and sha256 and the profile's name, as the line does, and no
    timing.
    """
    if "error" in line:
        return Answer(strip, None, SteelError(line["error"], status=line["status"]))
    result = ImageResult.model_validate(
        {name: value for name, value in line.items() if name not in ("file", "model", "profile")}
    )
    fields: dict[str, Any] = {
        "model": ModelSummary.model_construct(**line["model"]),
        "profile": ProfileUsed.model_construct(**{"name": line["profile"]}),
        "images": [result],
    }
    return Answer(strip, Image(result, PredictResponse.model_construct(**fields)), None)
