"""The Open Inference Protocol, spoken by Triton's own client to a real server, and by those who break it."""

import base64
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from fastapi import FastAPI
from pydantic import SecretStr

from service.app import create_app
from service.inference.batcher import Batcher
from service.masks import rle
from service.model.session import OrtSession
from service.settings import Settings
from tests.support.images import encoded, grey_image, png
from tests.support.serving import ROOT, Server, free_port, real_server, running_app
from tests.support.tiny_model import block_rle, block_strip, write_slow_model

pytestmark = pytest.mark.anyio

STRIPS = [
    png(block_strip(c1=(10, 20, 3, 4), c3=(100, 100, 50, 60))),
    png(block_strip()),
    png(block_strip(c2=(0, 0, 1600, 1), c4=(1500, 0, 2, 256))),
]
PAGE = ROOT / "docs" / "open-inference.md"
HEADER = "Inference-Header-Content-Length"
INFER = "/v2/models/tiny/infer"


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[Server]:
    # Nobody reads its log here: lines for every request would fill the pipe and stop it.
    with real_server(tiny_model, port=free_port(), log_level="error") as server:
        yield server


def address(server: Server) -> str:
    return server.url.removeprefix("http://")


@pytest.fixture
def tritons(server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(address(server)) as client:
        yield client


def image_tensor(files: list[bytes], *, column: bool = False) -> triton.InferInput:
    values = np.array(files, dtype=np.object_)
    values = values.reshape(-1, 1) if column else values
    tensor = triton.InferInput("image", list(values.shape), "BYTES")
    tensor.set_data_from_numpy(values)
    return tensor


def predicted(url: str, files: list[bytes], **parameters: object) -> list[dict[str, Any]]:
    """Return the answer of /predict to the same files."""
    query = {name: str(value) for name, value in parameters.items()}
    parts = [("file", (f"{n}.png", file, "image/png")) for n, file in enumerate(files)]
    answer = httpx.post(f"{url}/predict", files=parts, params=query)
    assert answer.status_code == 200
    images: list[dict[str, Any]] = answer.json()["images"]
    return images


def masks_of(image: dict[str, Any]) -> npt.NDArray[np.bool_]:
    """The masks of an image of /predict, bool [4, 256, 1600], from its run-length codes."""
    return np.stack([rle.decode(found["rle"], height=256, width=1600).T for found in image["classes"]])


def bits(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    return np.stack([mask >> n & 1 == 1 for n in range(4)])


def assert_as_predicted(result: triton.InferResult, images: list[dict[str, Any]]) -> None:
    """Every pixel, code, presence and probability is that of /predict."""
    masks, codes = result.as_numpy("mask"), result.as_numpy("rle")
    present, probabilities = result.as_numpy("present"), result.as_numpy("class_probability")
    assert (masks.shape, masks.dtype) == ((len(images), 256, 1600), np.uint8)
    assert (present.dtype, probabilities.dtype) == (np.bool_, np.float32)
    for n, image in enumerate(images):
        assert np.array_equal(bits(masks[n]), masks_of(image))
        found = image["classes"]
        assert [as_text(code) for code in codes[n]] == [one["rle"] for one in found]
        assert present[n].tolist() == [one["present"] for one in found]
        assert probabilities[n] == pytest.approx([one["probability"] for one in found], abs=5e-5)


def as_text(code: bytes | str) -> str:
    return code.decode() if isinstance(code, bytes) else code


def test_health_is_told(tritons: triton.InferenceServerClient) -> None:
    assert tritons.is_server_live()
    assert tritons.is_server_ready()
    assert tritons.is_model_ready("tiny")
    assert tritons.is_model_ready("tiny", "1")
    assert not tritons.is_model_ready("huge")
    assert not tritons.is_model_ready("tiny", "2")


def test_metadata_is_told(tritons: triton.InferenceServerClient) -> None:
    assert tritons.get_server_metadata()["extensions"] == ["binary_tensor_data", "model_configuration"]
    metadata = tritons.get_model_metadata("tiny")
    assert metadata == tritons.get_model_metadata("tiny", "1")
    assert (metadata["name"], metadata["versions"]) == ("tiny", ["1"])
    assert metadata["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert {one["name"]: (one["datatype"], one["shape"]) for one in metadata["outputs"]} == {
        "class_probability": ("FP32", [-1, 4]),
        "present": ("BOOL", [-1, 4]),
        "mask": ("UINT8", [-1, -1, -1]),
        "rle": ("BYTES", [-1, 4]),
        "verdict": ("BYTES", [-1]),
        "reason": ("BYTES", [-1]),
    }


@pytest.mark.parametrize("column", [False, True])
def test_the_client_gets_what_predict_gives(
    server: Server, tritons: triton.InferenceServerClient, column: bool
) -> None:
    result = tritons.infer("tiny", [image_tensor(STRIPS, column=column)], request_id="a-7")
    assert_as_predicted(result, predicted(server.url, STRIPS))
    answer = result.get_response()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("a-7", "tiny", "1")
    assert as_text(result.as_numpy("rle")[0][0]) == block_rle(10, 20, 3, 4)


@pytest.mark.slow
def test_the_pages_example_gets_what_predict_gives(
    default_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the released model."""
    block = re.search(r"```python\n([^`]*tritonclient[^`]*)```", PAGE.read_text())
    assert block is not None
    monkeypatch.chdir(ROOT)
    strip = (ROOT / "examples" / "strip.png").read_bytes()
    with real_server(default_model, port=free_port(), log_level="error") as server:
        images = predicted(server.url, [strip])
        assert images[0]["defect"]
        names: dict[str, Any] = {}
        exec(block[1].replace("localhost:8000", address(server)), names)
        names["client"].close()
        assert_as_predicted(names["answer"], images)
        assert np.array_equal(names["pitting"], masks_of(images[0])[0])


@pytest.mark.parametrize("binary", [False, True])
def test_outputs_come_as_they_are_wanted(
    server: Server, tritons: triton.InferenceServerClient, binary: bool
) -> None:
    names = ["rle", "mask", "class_probability", "present"]
    wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in names]
    result = tritons.infer("tiny", [image_tensor(STRIPS)], outputs=wanted, model_version="1")
    assert [one["name"] for one in result.get_response()["outputs"]] == names
    assert all(("data" in one) is not binary for one in result.get_response()["outputs"])
    assert_as_predicted(result, predicted(server.url, STRIPS))
    (only,) = tritons.infer("tiny", [image_tensor(STRIPS)], outputs=wanted[3:]).get_response()["outputs"]
    assert only["name"] == "present"


def test_json_images_are_base64(server: Server, tritons: triton.InferenceServerClient) -> None:
    tensor = triton.InferInput("image", [3], "BYTES")
    texts = [base64.b64encode(strip).decode() for strip in STRIPS]
    tensor.set_data_from_numpy(np.array(texts, dtype=np.object_), binary_data=False)
    assert_as_predicted(tritons.infer("tiny", [tensor]), predicted(server.url, STRIPS))


@pytest.mark.parametrize(
    "parameters",
    [
        {"profile": "kaggle"},
        {"threshold": 1.0, "min_area": 5000},
        {"threshold": "0.5,0.5,0.5,0.5", "min_area": "1,1,3001,1"},
    ],
)
def test_parameters_are_those_of_predict(
    server: Server, tritons: triton.InferenceServerClient, parameters: dict[str, object]
) -> None:
    result = tritons.infer("tiny", [image_tensor(STRIPS)], parameters=parameters)
    assert_as_predicted(result, predicted(server.url, STRIPS, **parameters))


async def test_the_asynchronous_client_works_too(server: Server) -> None:
    async with triton_aio.InferenceServerClient(address(server)) as client:
        assert await client.is_server_ready()
        result = await client.infer("tiny", [image_tensor(STRIPS)])
        assert_as_predicted(result, predicted(server.url, STRIPS))


def refused(client: triton.InferenceServerClient, *arguments: Any, **more: Any) -> tuple[str, str]:
    """Status and message as the client reads them."""
    with pytest.raises(triton.InferenceServerException) as caught:
        client.infer(*arguments, **more)
    return caught.value.status(), caught.value.message()


def test_a_bad_image_fails_the_request_and_is_named(tritons: triton.InferenceServerClient) -> None:
    small = encoded(grey_image(800, 600), "PNG")
    status, message = refused(tritons, "tiny", [image_tensor([STRIPS[0], small, b"%PDF"])])
    assert (status, message[:10]) == ("422", "image[1]: ")
    assert "got a PNG of 800x600" in message
    assert refused(tritons, "tiny", [image_tensor([b"GIF8"])])[0] == "415"
    status, message = refused(tritons, "tiny", [image_tensor([b""])])
    assert (status, message[:10]) == ("422", "image[0]: ")
    assert "got an empty file" in message


def test_other_models_and_versions_are_not_here(tritons: triton.InferenceServerClient) -> None:
    tensor = image_tensor(STRIPS)
    message = "there is no model 'huge' here; 'tiny', version '1', serves"
    assert refused(tritons, "huge", [tensor]) == ("404", message)
    assert refused(tritons, "tiny", [tensor], model_version="2")[0] == "404"
    with pytest.raises(triton.InferenceServerException, match="there is no model 'huge' here"):
        tritons.get_model_metadata("huge")


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
@pytest.mark.parametrize("binary", [False, True])
def test_a_compressed_request_is_answered(
    server: Server, tritons: triton.InferenceServerClient, algorithm: str, binary: bool
) -> None:
    tensor = triton.InferInput("image", [3], "BYTES")
    values = STRIPS if binary else [base64.b64encode(strip).decode() for strip in STRIPS]
    tensor.set_data_from_numpy(np.array(values, dtype=np.object_), binary_data=binary)
    result = tritons.infer("tiny", [tensor], request_compression_algorithm=algorithm)
    assert_as_predicted(result, predicted(server.url, STRIPS))


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
@pytest.mark.parametrize("binary", [False, True])
def test_a_compressed_answer_may_be_asked_for(
    server: Server, tritons: triton.InferenceServerClient, algorithm: str, binary: bool
) -> None:
    names = ("rle", "mask", "class_probability", "present")
    wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in names]
    result = tritons.infer(
        "tiny", [image_tensor(STRIPS)], outputs=wanted, response_compression_algorithm=algorithm
    )
    assert_as_predicted(result, predicted(server.url, STRIPS))
    with httpx.stream(
        "POST", f"{server.url}{INFER}", json=asked(), headers={"Accept-Encoding": algorithm}
    ) as answer:
        assert answer.headers["content-encoding"] == algorithm
        assert answer.headers["vary"] == "Accept-Encoding"
        assert sum(map(len, answer.iter_raw())) < 100_000


async def test_the_asynchronous_client_compresses_too(server: Server) -> None:
    async with triton_aio.InferenceServerClient(address(server)) as client:
        for algorithm in ("gzip", "deflate"):
            result = await client.infer(
                "tiny",
                [image_tensor(STRIPS)],
                request_compression_algorithm=algorithm,
                response_compression_algorithm=algorithm,
            )
            assert_as_predicted(result, predicted(server.url, STRIPS))


def test_the_configuration_and_the_index_are_told(tritons: triton.InferenceServerClient) -> None:
    config = tritons.get_model_config("tiny")
    assert config == tritons.get_model_config("tiny", "1")
    metadata = tritons.get_model_metadata("tiny")
    assert (config["name"], config["platform"], config["max_batch_size"]) == (
        "tiny",
        metadata["platform"],
        0,
    )
    for kind, tensors in (("input", "inputs"), ("output", "outputs")):
        assert [(one["name"], one["dims"]) for one in config[kind]] == [
            (one["name"], one["shape"]) for one in metadata[tensors]
        ]
    types = {one["name"]: one["data_type"] for one in [*config["input"], *config["output"]]}
    assert (types["image"], types["mask"], types["class_probability"], types["rle"]) == (
        "TYPE_STRING",
        "TYPE_UINT8",
        "TYPE_FP32",
        "TYPE_STRING",
    )
    index = [{"name": "tiny", "version": "1", "state": "READY", "reason": ""}]
    assert tritons.get_model_repository_index() == index
    with pytest.raises(triton.InferenceServerException, match="there is no model 'huge' here"):
        tritons.get_model_config("huge")


ABSENT: dict[str, tuple[tuple[Any, ...], str]] = {
    "get_inference_statistics": ((), "/metrics"),
    "get_inference_statistics tiny": (("tiny",), "/metrics"),
    "get_inference_statistics tiny 1": (("tiny", "1"), "/metrics"),
    "load_model": (("tiny",), "POST /model/reload"),
    "unload_model": (("tiny",), "POST /model/reload"),
    "get_trace_settings": ((), "Server-Timing"),
    "get_trace_settings tiny": (("tiny",), "Server-Timing"),
    "update_trace_settings": ((None, {"trace_rate": "1"}), "Server-Timing"),
    "get_log_settings": ((), "STEEL_LOG_LEVEL"),
    "update_log_settings": (({"log_verbose_level": 1},), "STEEL_LOG_LEVEL"),
    "get_system_shared_memory_status": ((), "no shared memory"),
    "get_system_shared_memory_status a": (("a",), "no shared memory"),
    "register_system_shared_memory": (("a", "/a", 9), "no shared memory"),
    "unregister_system_shared_memory": ((), "no shared memory"),
    "unregister_system_shared_memory a": (("a",), "no shared memory"),
    "get_cuda_shared_memory_status": ((), "no shared memory"),
    "register_cuda_shared_memory": (("a", b"handle", 0, 9), "no shared memory"),
    "unregister_cuda_shared_memory": ((), "no shared memory"),
}


@pytest.mark.parametrize("call", ABSENT)
def test_what_triton_has_and_the_service_does_not_is_said_so(
    tritons: triton.InferenceServerClient, call: str
) -> None:
    arguments, reason = ABSENT[call]
    with pytest.raises(triton.InferenceServerException, match=reason) as caught:
        getattr(tritons, call.split()[0])(*arguments)
    assert caught.value.status() == "501"


def test_no_call_of_the_client_is_forgotten(tritons: triton.InferenceServerClient) -> None:
    """Each public method of Triton's client has a test here."""
    tested = {call.split()[0] for call in ABSENT} | {
        *("is_server_live", "is_server_ready", "is_model_ready", "get_server_metadata"),
        *("get_model_metadata", "get_model_config", "get_model_repository_index", "infer", "async_infer"),
    }
    of_the_client = {"close", "generate_request_body", "parse_response_body", "plugin"}
    methods = {name for name in dir(tritons) if not name.startswith("_")}
    assert methods - of_the_client - {"register_plugin", "unregister_plugin"} == tested


def test_the_clients_timeout_is_a_deadline(tritons: triton.InferenceServerClient) -> None:
    tensor = image_tensor(STRIPS)
    assert refused(tritons, "tiny", [tensor], timeout=1)[0] in ("429", "504")
    assert refused(tritons, "tiny", [tensor], headers={"X-Deadline-Ms": "1"})[0] in ("429", "504")
    assert tritons.infer("tiny", [tensor], timeout=20_000_000).as_numpy("mask").shape == (3, 256, 1600)


@pytest.mark.slow
def test_a_key_is_wanted_but_for_health(tiny_model: Path) -> None:
    with (
        real_server(tiny_model, api_key="sesame", port=free_port(), log_level="error") as server,
        triton.InferenceServerClient(address(server)) as client,
    ):
        assert client.is_server_live()
        assert client.is_server_ready()
        assert not client.is_model_ready("tiny")
        tensor = image_tensor(STRIPS)
        assert refused(client, "tiny", [tensor]) == ("401", "X-API-Key is missing or wrong")
        with pytest.raises(triton.InferenceServerException, match="X-API-Key is missing"):
            client.get_server_metadata()
        key = {"X-API-Key": "sesame"}
        assert client.is_model_ready("tiny", headers=dict(key))
        assert client.infer("tiny", [tensor], headers=dict(key)).as_numpy("present").any()


@pytest.mark.slow
def test_a_full_queue_refuses_some_and_answers_others(tmp_path: Path) -> None:
    model = write_slow_model(tmp_path / "tiny" / "1" / "model.onnx", matmuls=20)
    with (
        real_server(model, max_queue_size=1, max_files=1, port=free_port(), log_level="error") as server,
        triton.InferenceServerClient(address(server), concurrency=24) as client,
    ):
        calls = [client.async_infer("tiny", [image_tensor(STRIPS[:1])]) for _ in range(24)]
        statuses = []
        for call in calls:
            try:
                call.get_result()
                statuses.append("200")
            except triton.InferenceServerException as error:
                statuses.append(error.status())
        assert set(statuses) == {"200", "429"}


async def test_a_refusal_says_when_to_come_back_and_counts_one_route(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Batcher, "queue_size", property(lambda batcher: batcher.max_queue_size))
        for name in ("tiny", "made-up"):
            for path in (f"/v2/models/{name}/infer", f"/v2/models/{name}/versions/9/infer"):
                answer = await client.post(path, content=b"{}")
                assert answer.status_code == 429
                assert int(answer.headers["retry-after"]) >= 1
                assert answer.json()["error"] == answer.json()["detail"]
    text = (await client.get("/metrics")).text
    assert 'route="/v2/models/{name}/infer",status="429"} 2.0' in text
    assert 'route="/v2/models/{name}/versions/{version}/infer",status="429"} 2.0' in text
    assert "made-up" not in text


async def test_what_is_answered_counts_as_strips_do(client: httpx.AsyncClient) -> None:
    assert (await client.post(INFER, json=asked())).status_code == 200
    text = (await client.get("/metrics")).text
    assert 'steel_strips_total{defect="true"} 1.0' in text
    assert 'steel_stage_seconds_count{stage="inference"} 1.0' in text


async def test_every_error_of_the_protocol_is_a_problem_too(tiny_session: OrtSession) -> None:
    app = create_app(Settings(max_body_bytes=1000, api_key=SecretStr("sesame")), session=tiny_session)
    async with running_app(app) as client:
        key = {"X-API-Key": "sesame"}
        for method, path, body, headers, status in (
            ("GET", "/v2", b"", {}, 401),
            ("GET", "/v2/nothing", b"", key, 404),
            ("DELETE", INFER, b"", key, 405),
            ("POST", INFER, bytes(1001), key, 413),
            ("POST", INFER, b"{}", key, 422),
        ):
            answer = await client.request(method, path, content=body, headers=headers)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            problem = answer.json()
            assert problem["error"] == problem["detail"]
        assert "error" not in (await client.get("/model")).json()


async def test_the_server_is_told_with_and_without_a_slash(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v2/")).json() == (await client.get("/v2")).json()


async def test_before_the_model_is_there_nothing_is_ready(tiny_session: OrtSession) -> None:
    app: FastAPI = create_app(Settings(), session=tiny_session)
    transport = httpx.ASGITransport(app)  # the lifespan, which loads the model, does not run
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/v2/health/live")).json() == {"live": True}
        assert (await client.get("/v2")).status_code == 200
        for path in ("/v2/health/ready", "/v2/models/tiny", "/v2/models/tiny/ready"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["error"]) == (503, "the model is being loaded")
        assert (await client.post(INFER, json=asked())).headers["retry-after"] == "2"


def asked(**changes: object) -> dict[str, Any]:
    """A good request in JSON; changes are of its one input."""
    data = [base64.b64encode(STRIPS[0]).decode()]
    return {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": data} | changes]}


def with_binary(binary: bytes, size: object = None, **changes: object) -> tuple[bytes, dict[str, str]]:
    """A request with binary data behind its JSON."""
    parameters = {"binary_data_size": len(binary) if size is None else size}
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": parameters} | changes
    text = json.dumps({"inputs": [tensor]}).encode()
    return text + binary, {HEADER: str(len(text))}


def element(data: bytes, length: int | None = None) -> bytes:
    return struct.pack("<I", len(data) if length is None else length) + data


BROKEN: dict[str, tuple[Any, int, str]] = {
    "no body": (b"", 422, "Invalid JSON"),
    "no JSON": (STRIPS[0], 422, "Invalid JSON"),
    "no object": ([], 422, "body: "),
    "cut JSON": (json.dumps(asked()).encode()[:-3], 422, "Invalid JSON"),
    "deep JSON": (b'{"a":' + b"[" * 250, 422, "Invalid JSON: recursion limit"),
    "deeper JSON": (b"[" * 100_000, 413, "at most 288 values"),
    "a surrogate alone": (b'{"id": "\\ud800", "inputs": []}', 422, "Invalid JSON"),
    "no UTF-8": (b'{"id": "\xff", "inputs": []}', 422, "Invalid JSON"),
    "no inputs": ({}, 422, "inputs: Field required"),
    "inputs empty": ({"inputs": []}, 422, "inputs: "),
    "two inputs": ({"inputs": asked()["inputs"] * 2}, 422, "inputs: "),
    "a number as id": (asked() | {"id": 7}, 422, "id: Input should be a valid string"),
    "a long id": (asked() | {"id": "x" * 257}, 422, "id: "),
    "another name": (asked(name="picture"), 422, "inputs[0]: expected a BYTES tensor named 'image'"),
    "a long name": (asked(name="x" * 100_000), 422, "x…"),
    "another datatype": (asked(datatype="UINT8"), 422, "got UINT8 named 'image'"),
    "pixels": (asked(datatype="UINT8", shape=[1, 4], data=[0] * 409_600), 413, "at most 288 values"),
    "shape missing": ({"inputs": [{"name": "image", "datatype": "BYTES"}]}, 422, "inputs[0].shape: Field"),
    "shape of fractions": (asked(shape=[1.5]), 422, "inputs[0].shape[0]: Input should be a valid integer"),
    "shape of floats": (asked(shape=[1.0]), 422, "inputs[0].shape[0]: Input should be a valid integer"),
    "shape of text": (asked(shape=["1"]), 422, "inputs[0].shape[0]: Input should be a valid integer"),
    "shape of truth": (asked(shape=[True]), 422, "inputs[0].shape[0]: Input should be a valid integer"),
    "shape a number": (asked(shape=1), 422, "inputs[0].shape: "),
    "shape empty": (asked(shape=[]), 422, "inputs[0].shape: "),
    "shape zero": (asked(shape=[0]), 422, "inputs[0].shape[0]: "),
    "shape negative": (asked(shape=[-1]), 422, "inputs[0].shape[0]: "),
    "shape beyond numbers": (asked(shape=[10**400]), 422, "inputs[0].shape[0]: "),
    "shape of columns": (asked(shape=[1, 2]), 422, "[n] or [n, 1], n being the number"),
    "shape of three": (asked(shape=[1, 1, 1]), 422, "inputs[0].shape: "),
    "more by the shape": (asked(shape=[2]), 422, "expected 2 elements by its shape, got 1"),
    "33 images": (asked(shape=[33], data=[""] * 33), 413, "expected at most 32 images"),
    "10,000 images": (asked(shape=[10_000], data=[""] * 10_000), 413, "at most 288 values"),
    "a million images, by the shape": (asked(shape=[10**6]), 413, "expected at most 32 images"),
    "no data": (asked(data=None), 422, "inputs[0].data: expected image files in base64, or"),
    "data as text": (asked(data="/9j/"), 422, "inputs[0].data: "),
    "data of numbers": (asked(data=[7]), 422, "image[0]: expected an image file in base64"),
    "data too deep": (asked(data=[[["/9j/"]]]), 422, "image[0]: expected an image file in base64"),
    "no base64": (asked(data=["%%%%"]), 422, "image[0]: expected an image file in base64"),
    "base64 with more behind": (asked(data=["AA==AA=="]), 422, "image[0]: expected an image file in base64"),
    "base64 beyond ASCII": (asked(data=["äöüß"]), 422, "image[0]: expected an image file in base64"),
    "a large file": (asked(data=["A" * 28_000_000]), 413, "expected at most 20971520 bytes"),
    "no such parameter": (asked() | {"parameters": {"treshold": 1}}, 422, "parameters.treshold: there is no"),
    "a bad threshold": (
        asked() | {"parameters": {"threshold": 2}},
        422,
        "parameters.threshold: expected one value",
    ),
    "threshold no number": (asked() | {"parameters": {"threshold": True}}, 422, "expected text or a number"),
    "a threshold of lists": (asked() | {"parameters": {"threshold": [1]}}, 422, "expected text or a number"),
    "a long threshold": (
        asked() | {"parameters": {"threshold": "0" * 300}},
        422,
        "expected at most 256 characters",
    ),
    "a large min_area": (asked() | {"parameters": {"min_area": 10**300}}, 422, "parameters.min_area: "),
    "no such profile": (
        asked() | {"parameters": {"profile": "x"}},
        422,
        "profile: expected one of inspection",
    ),
    "parameters a list": (asked() | {"parameters": []}, 422, "parameters: Input should be an object"),
    "timeout negative": (
        asked() | {"parameters": {"timeout": -1}},
        422,
        "parameters.timeout: expected a whole",
    ),
    "timeout beyond numbers": (asked() | {"parameters": {"timeout": 10**400}}, 422, "parameters.timeout: "),
    "binary output of text": (asked() | {"parameters": {"binary_data_output": "yes"}}, 422, "true or false"),
    "no such output": (asked() | {"outputs": [{"name": "boxes"}]}, 422, "one of class_probability, present"),
    "an output twice": (
        asked() | {"outputs": [{"name": "rle"}] * 2},
        422,
        "outputs[1].name: expected one of",
    ),
    "binary data of text": (
        asked() | {"outputs": [{"name": "rle", "parameters": {"binary_data": 1}}]},
        422,
        "outputs[0].parameters.binary_data: expected true or false",
    ),
    "classification": (
        asked() | {"outputs": [{"name": "rle", "parameters": {"classification": 3}}]},
        422,
        "outputs[0].parameters.classification: is not supported",
    ),
    "shared memory": (
        asked(parameters={"shared_memory_region": "a", "shared_memory_byte_size": 9}),
        422,
        "inputs[0].parameters.shared_memory_region: is not supported",
    ),
    "binary size without binary data": (
        asked(parameters={"binary_data_size": 9}, data=None),
        422,
        f"{HEADER}: expected the length of the JSON",
    ),
    "data and binary data": (
        with_binary(element(b"a"), data=["/9j/"]),
        422,
        "expected either data or binary_data_size, got both",
    ),
    "binary size too small": (
        with_binary(element(b"abc"), 6),
        422,
        "expected 7, the number of bytes that follow the JSON, got 6",
    ),
    "binary size too large": (
        with_binary(element(b"abc"), 8),
        422,
        "expected 7, the number of bytes that follow the JSON, got 8",
    ),
    "binary size negative": (with_binary(element(b"abc"), -7), 422, "a whole number from 0"),
    "binary size of text": (with_binary(element(b"abc"), "7"), 422, "a whole number from 0"),
    "binary size beyond numbers": (with_binary(element(b"abc"), 10**400), 422, "a whole number from 0"),
    "binary size missing": (
        with_binary(element(b"abc"), parameters={}),
        422,
        "expected the number of bytes that follow the JSON, got none",
    ),
    "cut in a length": (with_binary(b"abc"), 422, "image[0]: expected a length of four bytes, got 3"),
    "cut in an element": (
        with_binary(element(b"abc", 4)),
        422,
        "image[0]: expected 4 bytes, its length, got 3",
    ),
    "a length of 4 GB": (
        with_binary(element(b"abc", 2**32 - 1)),
        413,
        "image[0]: expected at most 20971520 bytes, got 4294967295",
    ),
    "too few elements": (
        with_binary(element(b"abc"), shape=[2]),
        422,
        "image: expected 2 elements by its shape, got 1",
    ),
    "too many elements": (
        with_binary(element(b"abc") * 2),
        422,
        "expected 1 elements by its shape, got more bytes",
    ),
    "no elements": (with_binary(b""), 422, "image: expected 1 elements by its shape, got 0"),
    "header length too large": (
        (b"{}", {HEADER: "3"}),
        422,
        "expected at most the length of the body, 2, got 3",
    ),
    "header length huge": ((b"{}", {HEADER: "99999999999999999999"}), 422, HEADER),
    "header length zero": ((b"{}", {HEADER: "0"}), 422, HEADER),
    "header length negative": ((b"{}", {HEADER: "-1"}), 422, HEADER),
    "header length of text": ((b"{}", {HEADER: "two"}), 422, HEADER),
    "header length within the JSON": ((json.dumps(asked()).encode(), {HEADER: "9"}), 422, "Invalid JSON"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_request_is_refused_with_a_reason(client: httpx.AsyncClient, name: str) -> None:
    body, status, reason = BROKEN[name]
    content, headers = body if isinstance(body, tuple) else (body, {})
    if not isinstance(content, bytes):
        content = json.dumps(content).encode()
    answer = await client.post(INFER, content=content, headers=headers)
    assert answer.status_code == status, answer.text[:500]
    assert reason in answer.json()["error"]
    assert len(answer.content) < 2000


async def test_what_other_clients_write_is_understood(client: httpx.AsyncClient) -> None:
    """Null for what there is not, nested data, members of extensions, parameters of other servers."""
    request: dict[str, Any] = asked(shape=[1, 1], data=[asked()["inputs"][0]["data"]], parameters=None)
    request |= {"id": None, "outputs": None, "more": {"a": 1}}
    request["parameters"] = {"sequence_id": 7, "priority": 1, "timeout": 0, "content_type": "base64"}
    for kind in ("application/json", "application/octet-stream", "application/x-www-form-urlencoded"):
        answer = await client.post(INFER, content=json.dumps(request), headers={"Content-Type": kind})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert HEADER not in answer.headers
        assert answer.json()["id"] == answer.headers["x-request-id"]
        assert "dur=" in answer.headers["server-timing"]


async def test_the_document_describes_requests_and_answers(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    infer = document["paths"]["/v2/models/{name}/infer"]["post"]
    assert set(infer["requestBody"]["content"]) == {"application/json", "application/octet-stream"}
    assert set(infer["responses"]["200"]["content"]) == {"application/json", "application/octet-stream"}
    assert {"name", "X-Deadline-Ms", HEADER} == {one["name"] for one in infer["parameters"]}
    schema = infer["requestBody"]["content"]["application/json"]["schema"]
    assert "$ref" not in json.dumps(schema)
    assert schema["properties"]["inputs"]["items"]["properties"]["datatype"]["type"] == "string"
