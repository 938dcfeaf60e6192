"""deploy/kubernetes: fits Kubernetes' schemas, and the service that it runs."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.api.routes import HEALTH_PATHS, METRICS_PATH
from service.http.api_keys import ApiKeys, ApiKeysError
from service.observability.metrics import Metrics
from service.settings import Settings
from tools.audit import ROOT
from tools.kustomize import KustomizeError, Manifest, build, pod
from tools.manifests import FOLDER, OVERLAYS, main, problems

DOCKERFILE = (ROOT / "Dockerfile").read_text()
PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
NAMES = [folder.name for folder in OVERLAYS]


class Installed:
    """The objects of an overlay by kind."""

    def __init__(self, folder: Path) -> None:
        objects = build(folder)
        self.kinds: dict[str, Manifest] = {found["kind"]: found for found in objects}
        assert len(self.kinds) == len(objects)
        self.pod = pod(self.kinds["Deployment"])
        (self.container,) = self.pod["containers"]
        self.settings: dict[str, str] = self.kinds["ConfigMap"]["data"]

    def spec(self, kind: str) -> dict[str, Any]:
        found: dict[str, Any] = self.kinds[kind]["spec"]
        return found


@pytest.fixture(params=OVERLAYS, ids=NAMES)
def installed(request: pytest.FixtureRequest) -> Installed:
    return Installed(request.param)


def overlay(name: str) -> Installed:
    return Installed(FOLDER / "overlays" / name)


def gibibytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)(?:Gi|g)", text)
    assert match is not None, text
    return int(match[1])


def test_every_overlay_fits_the_schemas(capsys: pytest.CaptureFixture[str]) -> None:
    assert NAMES == ["cpu", "gpu", "keda"]
    assert main() == 0
    assert capsys.readouterr().out.count("valid for Kubernetes") == 3


def copied(tmp_path: Path, file: str, old: str, new: str) -> Path:
    """Return the GPU overlay of a copy in which something is changed."""
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    path = tmp_path / "kubernetes" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return tmp_path / "kubernetes" / "overlays" / "gpu"


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("base/deployment.yaml", "periodSeconds: 2", "period: 2", "'period' was unexpected"),
        ("base/deployment.yaml", "periodSeconds: 2", "periodSeconds: often", "'often' is not of type"),
        ("base/service.yaml", "apiVersion: v1", "apiVersion: v2", "v2 has no Service"),
        ("base/kustomization.yaml", "service.yaml", "services.yaml", "services.yaml: no such file"),
        ("base/kustomization.yaml", "=api-keys.example", "=api-keys", "api-keys: no such file"),
        ("base/kustomization.yaml", "namespace:", "namePrefix:", "not supported: ['namePrefix']"),
        ("overlays/gpu/gpu.yaml", "containers/0/resources", "containers/1/resources", "does not exist"),
        (
            "overlays/gpu/gpu.yaml",
            "strategy/rollingUpdate",
            "strategy/rolling",
            "cannot be replaced",
        ),
        (
            "overlays/gpu/kustomization.yaml",
            "Deployment, name: steel",
            "Pod, name: steel",
            "expected one object",
        ),
        ("overlays/gpu/kustomization.yaml", "- name: steel-settings", "- name: settings", "there are 0"),
        ("overlays/gpu/kustomization.yaml", "behavior: merge", "behavior: create", "there are 1"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, file: str, old: str, new: str, said: str) -> None:
    found = problems(copied(tmp_path, file, old, new))
    assert found
    assert said in found[0]


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(KustomizeError, match=r"kustomization\.yaml: no such file"):
        build(tmp_path)


@pytest.mark.parametrize("folder", [*OVERLAYS, "page"], ids=[*NAMES, "page"])
def test_kubectl_builds_the_same(folder: Path | str, tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl here")
    place = folder if isinstance(folder, Path) else of_the_page(tmp_path)
    built = subprocess.run([kubectl, "kustomize", place], capture_output=True, text=True, check=True).stdout
    generated = r"(name|secretName): (steel-settings|steel-api-keys)-[a-z0-9]{10}\b"
    theirs = list(yaml.safe_load_all(re.sub(generated, r"\1: \2", built)))
    for found in theirs:
        if found["kind"] == "Secret":  # long texts are broken into lines
            found["data"] = {key: "".join(text.split()) for key, text in found["data"].items()}

    def in_order(objects: list[Manifest]) -> list[str]:
        return sorted(json.dumps(found, sort_keys=True) for found in objects)

    assert in_order(build(place)) == in_order(theirs)


def of_the_page(tmp_path: Path) -> Path:
    """Write down the installation that the page shows."""
    found = re.search(r"```yaml\n(# mill/kustomization\.yaml\n.*?)```", PAGE, re.DOTALL)
    assert found is not None
    mill = tmp_path / "mill"
    mill.mkdir()
    (mill / "kustomization.yaml").write_text(found[1])
    (mill / "api-keys").write_text("a key of this test\n")
    shutil.copytree(FOLDER, tmp_path / "steel" / "deploy" / "kubernetes")
    return mill


def test_the_installation_of_the_page_fits(tmp_path: Path) -> None:
    mill = of_the_page(tmp_path)
    assert problems(mill) == []
    found = Installed(mill)
    assert found.kinds["Namespace"]["metadata"]["name"] == "line-3"
    assert {one["metadata"].get("namespace", "line-3") for one in found.kinds.values()} == {"line-3"}
    assert found.container["image"].startswith("registry.mill.example/steel-defect-service:")
    assert base64.b64decode(found.kinds["Secret"]["data"]["api-keys"]) == b"a key of this test\n"


def test_the_page_names_every_overlay_and_component() -> None:
    for folder in [*FOLDER.glob("overlays/*"), *FOLDER.glob("components/*")]:
        assert f"`{folder.name}`" in PAGE, folder.name


def test_settings_are_those_of_the_service(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {f"STEEL_{name.upper()}" for name in Settings.model_fields}
    assert installed.settings.keys() <= fields
    assert "env" not in installed.container
    for name, value in installed.settings.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert (ROOT / settings.model).is_dir()
    assert settings.device == installed.settings["STEEL_DEVICE"]


def test_the_port_is_that_of_the_image(installed: Installed) -> None:
    assert "STEEL_HOST=0.0.0.0" in DOCKERFILE
    assert installed.container["ports"] == [{"name": "http", "containerPort": Settings().port}]
    assert f"EXPOSE {Settings().port}\n" in DOCKERFILE
    assert installed.spec("Service")["ports"] == [{"name": "http", "port": 8000, "targetPort": "http"}]
    # A Service called steel gives each pod a STEEL_PORT that is no number.
    assert installed.pod["enableServiceLinks"] is False


def test_probes_ask_what_the_service_answers(installed: Installed) -> None:
    live, ready = HEALTH_PATHS
    wanted = {"startupProbe": ready, "readinessProbe": ready, "livenessProbe": live}
    for probe, path in wanted.items():
        assert installed.container[probe]["httpGet"] == {"path": path, "port": "http"}
    probe = installed.container["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 120


def test_a_stop_has_the_time_it_needs(installed: Installed) -> None:
    pause = installed.container["lifecycle"]["preStop"]["sleep"]["seconds"]
    readiness = installed.container["readinessProbe"]
    assert installed.pod["terminationGracePeriodSeconds"] >= pause + Settings().shutdown_timeout_s + 5
    assert readiness["timeoutSeconds"] < readiness["periodSeconds"]


def test_the_pod_is_locked_down_as_compose_does_it(installed: Installed) -> None:
    user = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    security = installed.pod["securityContext"]
    assert [(str(security["runAsUser"]), str(security["runAsGroup"]))] == user
    assert security["fsGroup"] == security["runAsGroup"]
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert installed.pod["automountServiceAccountToken"] is False
    assert installed.container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    labels = installed.kinds["Namespace"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize(
    ("name", "file", "extra"),
    [
        ("cpu", "docker-compose.yml", "cpu"),
        ("keda", "docker-compose.yml", "cpu"),
        ("gpu", "docker-compose.gpu.yml", "gpu"),
    ],
)
def test_image_memory_and_model_are_those_of_compose(name: str, file: str, extra: str) -> None:
    compose = yaml.safe_load((ROOT / file).read_text())["services"]["steel"]
    found = overlay(name)
    resources = found.container["resources"]
    assert found.container["image"] == compose["image"] == f"steel-defect-service:{extra}"
    assert gibibytes(resources["limits"]["memory"]) == gibibytes(compose["mem_limit"])
    # Whole processors, requested as they are limited: cpu_quota reads the limit, and none are shared.
    assert resources["requests"] == resources["limits"]
    assert resources["limits"]["cpu"].isdecimal()
    if extra == "gpu":
        assert resources["limits"]["nvidia.com/gpu"] == 1
        assert found.spec("Deployment")["strategy"]["rollingUpdate"]["maxSurge"] == 0
        environment = compose["environment"]
        assert found.settings["STEEL_MODEL"] == environment["STEEL_MODEL"]
        assert found.settings["STEEL_DEVICE"] == environment["STEEL_DEVICE"]


def test_selectors_find_the_pods(installed: Installed) -> None:
    labels = installed.spec("Deployment")["template"]["metadata"]["labels"].items()
    selectors = [
        installed.spec("Deployment")["selector"]["matchLabels"],
        installed.spec("Service")["selector"],
        installed.spec("PodDisruptionBudget")["selector"]["matchLabels"],
        installed.spec("NetworkPolicy")["podSelector"]["matchLabels"],
        installed.pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector
        assert selector.items() <= labels


def test_keys_are_a_file_from_a_secret(installed: Installed, tmp_path: Path) -> None:
    secret = installed.kinds["Secret"]
    (volume,) = installed.pod["volumes"]
    (mount,) = installed.container["volumeMounts"]
    assert volume["secret"]["secretName"] == secret["metadata"]["name"]
    assert volume["name"] == mount["name"]
    assert mount["readOnly"] is True
    assert "subPath" not in mount
    (key,) = secret["data"]
    assert installed.settings["STEEL_API_KEYS_FILE"] == f"{mount['mountPath']}/{key}"
    assert installed.container["envFrom"] == [
        {"configMapRef": {"name": installed.kinds["ConfigMap"]["metadata"]["name"]}}
    ]
    example = tmp_path / "api-keys"
    example.write_bytes(base64.b64decode(secret["data"][key]))
    with pytest.raises(ApiKeysError, match="expected one key per line, got none"):
        ApiKeys(file=example)


def test_the_network_lets_in_two_namespaces_and_nothing_out(installed: Installed) -> None:
    policy = installed.spec("NetworkPolicy")
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": "http"}]
    selected = [peer["namespaceSelector"]["matchLabels"] for peer in rule["from"]]
    assert selected == [{"kubernetes.io/metadata.name": name} for name in ("ingress-nginx", "monitoring")]


@pytest.mark.parametrize("kind", ["HorizontalPodAutoscaler", "ScaledObject"])
def test_one_scaler_finds_the_deployment(kind: str) -> None:
    found = overlay({"HorizontalPodAutoscaler": "cpu", "ScaledObject": "keda"}[kind])
    assert len({"HorizontalPodAutoscaler", "ScaledObject"} & found.kinds.keys()) == 1
    deployment = found.kinds["Deployment"]
    assert found.spec(kind)["scaleTargetRef"] == {
        "apiVersion": deployment["apiVersion"],
        "kind": "Deployment",
        "name": deployment["metadata"]["name"],
    }
    assert "replicas" not in deployment["spec"]


def test_the_gpu_overlay_says_how_many() -> None:
    found = overlay("gpu")
    assert not {"HorizontalPodAutoscaler", "ScaledObject"} & found.kinds.keys()
    assert found.spec("Deployment")["replicas"] == 2


def test_keda_asks_for_a_metric_that_there_is() -> None:
    found = overlay("keda")
    queue, cpu = found.spec("ScaledObject")["triggers"]
    assert (queue["type"], queue["metricType"], cpu["type"]) == ("prometheus", "AverageValue", "cpu")
    metrics = Metrics()
    metrics.watch(ready=lambda: True, queue_size=lambda: 7)
    asked = re.findall(r"steel_\w+", queue["metadata"]["query"])
    assert asked == ["steel_queue_size"]
    assert b"\nsteel_queue_size 7.0\n" in metrics.render()
    assert 0 < int(queue["metadata"]["threshold"]) < Settings().max_queue_size
    # KEDA takes numbers in metadata as text only.
    assert all(isinstance(value, str) for trigger in (queue, cpu) for value in trigger["metadata"].values())
    resource = overlay("cpu").spec("HorizontalPodAutoscaler")["metrics"][0]["resource"]
    assert cpu["metadata"]["value"] == str(resource["target"]["averageUtilization"])


def test_the_service_monitor_finds_the_service() -> None:
    found = overlay("keda")
    monitor, service = found.spec("ServiceMonitor"), found.kinds["Service"]
    labels = service["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["path"] == METRICS_PATH
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    # The alerts and KEDA's question want this name of the job.
    job = labels[monitor["jobLabel"]]
    (query,) = re.findall(r'job="(\w+)"', found.spec("ScaledObject")["triggers"][0]["metadata"]["query"])
    assert query == job
    assert f'up{{job="{job}"}}' in (ROOT / "deploy/prometheus/alerts.yml").read_text()
    assert found.settings.get("STEEL_METRICS", "open") == "open"
