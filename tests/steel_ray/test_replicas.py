"""Two nodes on one machine: answers, refusals, and a node that is killed under load."""

import asyncio
import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "steel_ray.proxy:middlewares")

import ray
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve._private.common import ReplicaState
from ray.serve.schema import ServeDeploySchema
from starlette.types import Receive, Scope, Send

from steel_ray.application import Arguments, strips
from steel_ray.proxy import LostReplica
from tests.clients.java import post_with_java
from tests.steel_ray.processes import running_replicas
from tests.support.images import png
from tests.support.serving import ROOT, free_port
from tests.support.tiny_model import block_rle, block_strip

pytestmark = [  # Ray leaves sockets and files of its processes open; when that shows depends on the collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

STRIP = png(block_strip(c3=(100, 20, 5, 30)))
CODE = block_rle(100, 20, 5, 30)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80_000_000},
    )
    cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    yield cluster
    serve.shutdown()  # type: ignore[no-untyped-call]  # Ray has no type for it
    ray.shutdown()
    cluster.shutdown()  # type: ignore[no-untyped-call]  # Ray has no type for it


@pytest.fixture(scope="module")
def url(cluster: Cluster, tiny_model: Path) -> str:
    port = free_port()
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
    deploy(tiny_model)
    return f"http://127.0.0.1:{port}"


def deploy(model: Path, **options: Any) -> None:
    settings = {
        "STEEL_MODEL": str(model),
        "STEEL_DEVICE": "cpu",
        "STEEL_MAX_QUEUE_SIZE": "8",
        "STEEL_MAX_FILES": "8",
        "STEEL_LOG_LEVEL": "error",
    }
    defaults = {"num_replicas": 2, "max_replicas_per_node": 1, "ray_actor_options": {"num_cpus": 1}}
    replicas = strips.options(**{**defaults, **options})
    serve.run(replicas.bind(settings), name="steel", route_prefix="/")


def count_replicas() -> int:
    (deployment,) = serve.status().applications["steel"].deployments.values()
    return deployment.replica_states.get(ReplicaState.RUNNING, 0)


def until(condition: Any, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_replica_answers_as_the_service_does(url: str) -> None:
    answer = httpx.post(f"{url}/predict", files={"file": ("a.png", STRIP, "image/png")}, timeout=30)
    assert answer.status_code == 200
    assert answer.json()["images"][0]["classes"][2]["rle"] == CODE
    assert len(answer.headers.get_list("x-request-id")) == 1
    assert httpx.get(f"{url}/health/ready").status_code == 200
    bad = httpx.post(f"{url}/predict", content=b"no image")
    assert (bad.status_code, bad.headers["content-type"]) == (415, "application/problem+json")
    assert count_replicas() == 2


def test_java_reads_the_mask_of_its_strip_from_a_replica(url: str, tmp_path: Path) -> None:
    strip = tmp_path / "strip.png"
    strip.write_bytes(STRIP)
    status, answer = post_with_java(f"{url}/predict", strip)
    assert status == 200
    assert answer["images"][0]["classes"][2]["rle"] == CODE


def test_a_full_queue_is_refused_with_429_and_retry_after(url: str) -> None:
    async def flood() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=60)
        async with httpx.AsyncClient(timeout=60, limits=limits) as client:
            files = [("file", (f"{number}.png", STRIP, "image/png")) for number in range(8)]
            return await asyncio.gather(*(client.post(f"{url}/predict", files=files) for _ in range(60)))

    answers = asyncio.run(flood())
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {200, 429}
    assert statuses[200]
    assert statuses[429]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers if answer.status_code == 429)


class Load:
    """Six callers, one strip after the other each, on a thread: Ray starts nodes only from the main one."""

    def __init__(self, url: str) -> None:
        self.outcomes: list[tuple[float, int]] = []
        self._url = url
        self._stopped = False

    def __enter__(self) -> "Load":
        self._pool = ThreadPoolExecutor(1)
        self._callers = self._pool.submit(asyncio.run, self._run())
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._callers.result(timeout=60)  # whoever got no answer, or a wrong one, raises here
        self._pool.shutdown()

    async def _run(self) -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            await asyncio.gather(*(self._call(client) for _ in range(6)))

    async def _call(self, client: httpx.AsyncClient) -> None:
        while not self._stopped:
            answer = await client.post(f"{self._url}/predict", content=STRIP)
            self.outcomes.append((time.monotonic(), answer.status_code))
            if answer.status_code == 503:
                assert answer.headers["retry-after"] == "1"
                assert "is gone; send it again" in answer.json()["detail"]
            else:
                assert answer.status_code == 200
                assert answer.json()["images"][0]["classes"][2]["rle"] == CODE

    @property
    def lost(self) -> int:
        return sum(status == 503 for _, status in self.outcomes)

    def answers_a_second(self, begin: float, end: float) -> float:
        return sum(begin < at < end and status == 200 for at, status in self.outcomes) / (end - begin)


def test_a_replica_that_dies_costs_only_what_it_was_answering(url: str) -> None:
    until(lambda: count_replicas() == 2)
    with Load(url) as load:
        time.sleep(2)
        replica = next(one for one in psutil.process_iter() if one.name().startswith("ray::ServeReplic"))
        replica.kill()
        time.sleep(2)
        until(lambda: count_replicas() == 2)
        time.sleep(1)
    assert load.lost <= 12  # what six callers had under way, and what was sent before Ray knew


@pytest.mark.alone
def test_a_node_that_dies_costs_only_what_it_was_answering(cluster: Cluster, url: str) -> None:
    until(lambda: count_replicas() == 2)
    nodes: Any = cluster
    with Load(url) as load:
        time.sleep(4)
        killed = time.monotonic()
        worker = next(node for node in nodes.list_all_nodes() if not node.head)
        cluster.remove_node(worker, allow_graceful=False)
        time.sleep(6)
        cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
        until(lambda: count_replicas() == 2)
        back = time.monotonic()
        time.sleep(4)
    assert load.lost <= 12
    before, after = load.answers_a_second(killed - 3, killed), load.answers_a_second(back, back + 3)
    print(
        f"answers a second: {before:.0f} before, {after:.0f} after; lost: {load.lost} of {len(load.outcomes)}"
    )
    assert after > before / 2  # it comes back; how far is for a quiet machine


def test_another_model_takes_over_without_a_lost_request(url: str, tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model.parent, tmp_path / "other")
    other = tmp_path / "other" / tiny_model.name
    until(lambda: count_replicas() == 2)
    with Load(url) as load:
        time.sleep(1)
        deploy(other)
        until(lambda: count_replicas() == 2)
        time.sleep(1)
    assert load.lost == 0
    assert len(load.outcomes) > 20


def test_replicas_follow_the_requests_under_way(url: str, tiny_model: Path) -> None:
    deploy(
        tiny_model,
        num_replicas="auto",
        autoscaling_config={
            "min_replicas": 1,
            "max_replicas": 2,
            "target_ongoing_requests": 1,
            "upscale_delay_s": 0,
            "downscale_delay_s": 0,
            "look_back_period_s": 11,  # the shortest that Ray wants
        },
    )
    until(lambda: count_replicas() == 1)
    with Load(url) as load:
        until(lambda: count_replicas() == 2)
    until(lambda: count_replicas() == 1)
    assert load.lost == 0


def test_a_proxy_answers_where_ray_answers_nothing() -> None:
    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        """Do what Ray's proxy does when a replica dies during a request."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(LostReplica(nothing))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/v2/models/steel/infer")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "is gone; send it again" in answer.json()["error"]


def test_the_command_serves_until_it_is_told_to_stop(tiny_model: Path, tmp_path: Path) -> None:
    with running_replicas(tiny_model, 1, tmp_path / "log") as (process, address):
        answer = httpx.post(f"{address}/predict", content=STRIP, timeout=30)
        assert answer.json()["images"][0]["classes"][2]["rle"] == CODE
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_the_configuration_for_a_cluster_is_one_that_ray_takes() -> None:
    text = (ROOT / "deploy" / "ray" / "serve.yaml").read_text()
    schema = ServeDeploySchema.model_validate(yaml.safe_load(text))
    (application,) = schema.applications
    Arguments.model_validate(application.args)
    (configured,) = application.deployments
    assert configured.name == strips.name
