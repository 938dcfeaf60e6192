"""Label Studio's exports."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from service.masks import label_studio
from tests.model_export.labels.variants.scene import (
    BOXES,
    HEIGHT,
    SCENE,
    WIDTH,
    Variant,
    corners,
    without,
    write_images,
)

NAMED = {"class_names": ("rust", "dent")}
SIZE = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
TO = {"from_name": "defects", "to_name": "strip"}


def brush(stem: str, name: str) -> dict[str, Any]:
    code = label_studio.encode(SCENE[stem][name].T)
    value = {"format": "rle", "rle": code, "brushlabels": [name]}
    return {"id": f"{stem}{name}", "type": "brushlabels", **SIZE, **TO, "value": value}


def polygon(stem: str, name: str) -> dict[str, Any]:
    values = corners(BOXES[stem][name])
    points = [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in zip(values[::2], values[1::2], strict=True)]
    value = {"points": points, "closed": True, "polygonlabels": [name]}
    return {"id": f"{stem}{name}", "type": "polygonlabels", **SIZE, **TO, "value": value}


def separate(stem: str, name: str) -> list[dict[str, Any]]:
    """A brush, and its label as another result of the same id."""
    one = brush(stem, name)
    labels = {"format": "rle", "labels": [one["value"].pop("brushlabels")[0]]}
    return [{**one, "type": "brush"}, {"id": one["id"], "type": "labels", **SIZE, **TO, "value": labels}]


def results(stem: str, region: Callable[[str, str], Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in SCENE[stem]:
        one = region(stem, name)
        found += one if isinstance(one, list) else [one]
    return found


def tasks(
    region: Callable[[str, str], Any] = brush, address: str = "/data/upload/3/0a1b2c3d-{}.png"
) -> list[Any]:
    """Return an export of the scene."""
    return [
        {
            "id": number,
            "data": {"image": address.format(stem)},
            "annotations": [{"id": number, "result": results(stem, region)}],
            "predictions": [],
        }
        for number, stem in enumerate(SCENE)
    ]


def minimal() -> list[dict[str, Any]]:
    """Return the export of the scene as JSON-MIN."""
    found = []
    for number, stem in enumerate(SCENE):
        task: dict[str, Any] = {
            "image": f"/data/upload/3/0a1b2c3d-{stem}.png",
            "id": number,
            "quality": "good",
            "annotator": 1,
            "annotation_id": number,
            "created_at": "2026-11-02T10:00:00Z",
            "updated_at": "2026-11-02T10:00:00Z",
            "lead_time": 12.5,
        }
        regions = [{**one["value"], **SIZE} for one in results(stem, brush)]
        if regions:
            task["defects"] = regions
        found.append(task)
    return found


def export(
    change: Callable[[list[Any]], object] = lambda tasks: None,
    made: Callable[[], list[Any]] = tasks,
) -> Callable[[Path], None]:
    """Return what writes the images and a changed export."""

    def build(folder: Path) -> None:
        write_images(folder, "strips/{}.png")
        document = made()
        change(document)
        (folder / "export.json").write_text(json.dumps(document))

    return build


def more(found: list[Any]) -> None:
    """Add tags that are no masks."""
    found[0]["annotations"][0]["result"] += [
        {"id": "x", "type": "choices", "value": {"choices": ["blurred"]}, **TO},
        {"from_id": "arust", "to_id": "adent", "type": "relation", "direction": "right"},
        {"id": "y", "type": "textarea", "value": {"text": ["look again"]}, **TO},
    ]


def several(found: list[Any]) -> None:
    found[0]["annotations"].insert(0, {"id": 77, "result": []})
    found[0]["annotations"].append({"id": 78, "was_cancelled": True, "result": []})


def truth(found: list[Any]) -> None:
    found[0]["annotations"][0]["ground_truth"] = True
    found[0]["annotations"].append({"id": 79, "result": []})


def skipped(found: list[Any]) -> None:
    found[2]["annotations"][0]["was_cancelled"] = True


def predicted(found: list[Any]) -> None:
    found[2]["predictions"] = [{"result": []}]
    found[2]["annotations"] = []


def of_b(**changes: Any) -> Callable[[list[Any]], None]:
    return lambda found: found[1]["annotations"][0]["result"][0].update(changes)


def other_code(found: list[Any]) -> None:
    found[1]["annotations"][0]["result"][0]["value"]["rle"] = [0, 0, 1]


def no_label(found: list[Any]) -> None:
    found[1]["annotations"][0]["result"][0]["value"]["brushlabels"] = []


def _v(title: str, build: Callable[[Path], object], says: str = "", **more: object) -> Variant:
    more.setdefault("options", NAMED)
    return Variant("Label Studio", title, build, says=says, **more)  # type: ignore[arg-type]


def _no(title: str, build: Callable[[Path], object], says: str) -> Variant:
    return Variant("Label Studio", title, build, None, says, NAMED, ("a", "c"))


VARIANTS = [
    _v("JSON, brush", export(), "Label Studio's JSON export.json"),
    _v("JSON, polygons", export(made=lambda: tasks(polygon))),
    _v("JSON, brush and label as two results", export(made=lambda: tasks(separate))),
    _v("JSON-MIN", export(made=minimal), "Label Studio's JSON-MIN"),
    _v("images by local files", export(made=lambda: tasks(address="/data/local-files/?d=strips%2F{}.png"))),
    _v("images in a bucket", export(made=lambda: tasks(address="s3://mill/november/{}.png"))),
    _v("choices, relations, texts", export(more), "ignored, choices: 1"),
    _v("several annotations: the last", export(several), "ignored, further annotations of a task: 1"),
    _v("a ground truth among annotations", export(truth), "ignored, further annotations of a task: 1"),
    _v("a skipped task", export(skipped), "1 image without a label, left out", gives=without("c")),
    _v("a task with predictions only", export(predicted), "1 image without a label", gives=without("c")),
    _no("a rectangle", export(of_b(type="rectanglelabels")), "got 'rectanglelabels'"),
    _no("a region without a label", export(no_label), "a region has no label"),
    _no("a brush of another size", export(of_b(original_width=48)), "got 48x64"),
    _no("a brush code that ends early", export(other_code), "the brush code ends too early"),
    _no("a picture turned in the tool", export(of_b(image_rotation=90)), "turned by 90 degrees in the tool"),
]
