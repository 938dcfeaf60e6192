"""The client's models beside the schemas that the service publishes."""

import json
from typing import Any

import pytest
from fastapi import FastAPI

from steel_client import results
from steel_client.errors import NotInspectedError, SteelError
from steel_client.results import PredictResponse, read_image

MODELS = {
    name: model
    for name, model in vars(results).items()
    if isinstance(model, type) and issubclass(model, results._Result) and not name.startswith("_")
}
SHAPE = ("type", "items", "prefixItems", "anyOf", "$ref")
"""Keywords of a type; bounds, constants and texts are left to the service."""


def shape(schema: dict[str, Any]) -> dict[str, Any]:
    """Keep the type of a field, without its description and limits."""
    kept = {key: schema[key] for key in SHAPE if key in schema}
    for key in ("prefixItems", "anyOf"):
        if key in kept:
            kept[key] = [shape(one) for one in kept[key]]
    if "items" in kept:
        kept["items"] = shape(kept["items"])
    if "$ref" in kept:
        kept["$ref"] = kept["$ref"].rpartition("/")[2]
    return kept


@pytest.fixture
def schemas(app: FastAPI) -> dict[str, Any]:
    found: dict[str, Any] = app.openapi()["components"]["schemas"]
    return found


@pytest.mark.parametrize("name", MODELS)
def test_fields_are_those_of_the_service_in_the_same_order(schemas: dict[str, Any], name: str) -> None:
    published = schemas[name]
    ours = MODELS[name].model_json_schema(mode="serialization")
    assert list(ours["properties"]) == list(published["properties"])
    assert ours.get("required") == published.get("required")
    for field, schema in published["properties"].items():
        assert shape(ours["properties"][field]) == shape(schema), field


def test_every_schema_of_the_answer_has_a_model(schemas: dict[str, Any]) -> None:
    reached, todo = set(), ["PredictResponse"]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            parts = json.dumps(schemas[name]).split("#/components/schemas/")[1:]
            todo += [part.partition('"')[0] for part in parts]
    assert reached == MODELS.keys()


def body(**more: Any) -> bytes:
    model = {"name": "a", "version": "1", "sha256": "0", "provider": "CPU", "precision": "int8"}
    profile = {"name": "inspection", "class_threshold": [0.5], "threshold": [0.5], "min_area": [1]}
    timing = {"decode": 1, "queue": 1, "inference": 1, "postprocess": 1, "total": 4}
    size, verdict = {"width": 3, "height": 2}, {"verdict": "defect", "reason": "new 100%, 1 px"}
    image = {"filename": "a.png", "status": 200, **size, **verdict, "classes": [found(5, **more)]}
    answer = {"model": model, "profile": profile, "images": [image], "timing_ms": timing}
    return json.dumps(answer | more).encode()


def found(class_id: int, **more: Any) -> dict[str, Any]:
    return {"class_id": class_id, "name": "new", "present": True, "probability": 1, "area": 1, **more}


def test_fields_of_a_newer_service_are_kept() -> None:
    image = read_image(body(depth_um=7))
    assert image.response.model_dump()["depth_um"] == 7
    assert image.present[0].result.model_dump()["depth_um"] == 7


def test_a_broken_code_is_an_error() -> None:
    (broken,) = read_image(body(rle="5 9")).present
    with pytest.raises(SteelError, match=r"within 1\.\.6"):
        _ = broken.mask


def test_a_strip_that_was_not_inspected_is_neither_defective_nor_clean() -> None:
    answer = json.loads(body())
    answer["images"][0] |= {"verdict": "not_inspected", "reason": "dark: 3", "defect": None, "classes": None}
    image = read_image(json.dumps(answer).encode())
    assert (image.verdict, image.reason, image.inspected, image.classes) == (
        "not_inspected",
        "dark: 3",
        False,
        [],
    )
    with pytest.raises(NotInspectedError, match="dark: 3"):
        _ = image.defect


def test_one_image_is_expected() -> None:
    response = PredictResponse.model_validate_json(body())
    twice = response.model_copy(update={"images": response.images * 2})
    with pytest.raises(SteelError, match="expected one image in the answer, got 2"):
        read_image(twice.model_dump_json().encode())
