"""Docker's and Kubernetes's files: they parse, fit their schemas, and fit each other. No cluster and no Docker daemon is needed.

What is not tested here: that an image builds, that a container or a Job starts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config

from pipekit_dagster.serve.home import STORAGE_URL, Home, default_dagster_yaml
from pipekit_engine.config import Config, load_config

ROOT = Path(__file__).parents[2]
DOCKER, KUBERNETES = ROOT / "deploy/docker", ROOT / "deploy/kubernetes"
TWO_HOSTS = ROOT / "deploy/two-hosts"

#: The classes by which a client of Kubernetes knows the kinds that are used here.
KINDS = {
    "ServiceAccount": "V1ServiceAccount",
    "Role": "V1Role",
    "RoleBinding": "V1RoleBinding",
    "ConfigMap": "V1ConfigMap",
    "Deployment": "V1Deployment",
    "Service": "V1Service",
    "PodDisruptionBudget": "V1PodDisruptionBudget",
}


def manifests() -> list[dict[str, Any]]:
    return [item for file in sorted(KUBERNETES.glob("*.yaml")) for item in yaml.safe_load_all(file.read_text())]


def manifest(kind: str, name: str) -> dict[str, Any]:
    (found,) = (item for item in manifests() if (item["kind"], item["metadata"]["name"]) == (kind, name))
    return found


def instance_files() -> dict[str, str]:
    return {
        "docker": (DOCKER / "dagster.yaml").read_text(),
        "kubernetes": manifest("ConfigMap", "pipekit-instance")["data"]["dagster.yaml"],
        "own": default_dagster_yaml(shared=True),
    }


@contextmanager
def storage_is_known() -> Iterator[None]:
    os.environ[STORAGE_URL] = "postgresql+psycopg2://me@db/dagster"
    try:
        yield
    finally:
        del os.environ[STORAGE_URL]


@pytest.mark.parametrize("which", ["docker", "kubernetes", "own"])
def test_dagster_takes_the_instance_file(which: str, tmp_path: Path) -> None:
    text = instance_files()[which]
    (tmp_path / "dagster.yaml").write_text(text)
    with storage_is_known():
        config, _ = dagster_instance_config(str(tmp_path))
    assert config["storage"]["postgres"]["postgres_url"] == {"env": STORAGE_URL}
    # pipekit takes it as its owner's, and leaves it alone.
    with Home(tmp_path, "postgresql+psycopg2://me@db/dagster").hold():
        assert (tmp_path / "dagster.yaml").read_text() == text


@pytest.mark.parametrize("which", ["docker", "kubernetes"])
def test_what_does_not_concern_the_launcher_is_pipekit_s_own(which: str) -> None:
    mine, own = yaml.safe_load(instance_files()[which]), yaml.safe_load(instance_files()["own"])
    for key in ("storage", "run_queue", "concurrency", "retention", "telemetry", "nux"):
        assert mine[key] == own[key], key
    assert own["run_monitoring"].items() <= mine["run_monitoring"].items()


def test_the_docker_launcher_takes_its_configuration() -> None:
    docker = pytest.importorskip("dagster_docker", reason="the launcher for containers is not installed")
    config = yaml.safe_load(instance_files()["docker"])["run_launcher"]
    assert (config["module"], config["class"]) == ("dagster_docker", "DockerRunLauncher")
    checked = process_config(docker.DockerRunLauncher.config_type(), config["config"])
    assert checked.success, checked.errors
    launcher = docker.DockerRunLauncher.from_config_value(None, checked.value)
    assert launcher.image == "pipekit:latest"


def test_the_kubernetes_launcher_takes_its_configuration() -> None:
    k8s = pytest.importorskip("dagster_k8s", reason="the launcher for Kubernetes is not installed")
    config = yaml.safe_load(instance_files()["kubernetes"])["run_launcher"]
    assert (config["module"], config["class"]) == ("dagster_k8s", "K8sRunLauncher")
    checked = process_config(k8s.K8sRunLauncher.config_type(), config["config"])
    assert checked.success, checked.errors
    # The Job that it would make of a run has everything that a run needs.
    job_module = pytest.importorskip("dagster_k8s.job")
    raw = config["config"]
    user = job_module.UserDefinedDagsterK8sConfig.from_dict(raw["run_k8s_config"])
    settings = job_module.DagsterK8sJobConfig(
        job_image=raw["job_image"],
        dagster_home=raw["dagster_home"],
        instance_config_map=raw["instance_config_map"],
        service_account_name=raw["service_account_name"],
        env_config_maps=raw["env_config_maps"],
        env_secrets=raw["env_secrets"],
    )
    job = job_module.construct_dagster_k8s_job(settings, ["true"], "job", user, pod_name="pod", component="run_worker")
    spec = job.to_dict()["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert spec["backoff_limit"] == 0
    mounted = {mount["mount_path"]: mount["name"] for mount in container["volume_mounts"]}
    assert {"/etc/pipekit", "/etc/pipekit-secrets"} <= mounted.keys()
    assert set(mounted.values()) <= {volume["name"] for volume in pod["volumes"]}
    assert pod["service_account_name"] == "pipekit-run"
    assert pod["security_context"]["run_as_non_root"]


def test_the_manifests_fit_the_schema_of_kubernetes() -> None:
    client = pytest.importorskip("kubernetes.client", reason="the client of Kubernetes is not installed")
    api = client.ApiClient(client.Configuration())
    for item in manifests():
        # What the schema does not know is lost on the way to its class and back; what it demands is missed there.
        made = api._ApiClient__deserialize(item, KINDS[item["kind"]])
        assert api.sanitize_for_serialization(made) == item, item["metadata"]["name"]


def test_the_manifests_fit_each_other() -> None:
    names = {(item["kind"], item["metadata"]["name"]) for item in manifests()}
    assert {item["metadata"]["namespace"] for item in manifests()} == {"pipekit"}
    pod = manifest("Deployment", "pipekit")["spec"]["template"]["spec"]
    assert ("ServiceAccount", pod["serviceAccountName"]) in names
    for volume in pod["volumes"]:
        if "configMap" in volume:
            assert ("ConfigMap", volume["configMap"]["name"]) in names
    for container in (*pod["containers"], *pod["initContainers"]):
        assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in pod["volumes"]}
        assert container["image"] == "pipekit:latest"
    launcher = yaml.safe_load(instance_files()["kubernetes"])["run_launcher"]["config"]
    assert ("ServiceAccount", launcher["service_account_name"]) in names
    assert {("ConfigMap", name) for name in (*launcher["env_config_maps"], launcher["instance_config_map"])} <= names
    environment = manifest("ConfigMap", "pipekit-environment")["data"]
    config = _config(manifest("ConfigMap", "pipekit-config")["data"]["config.yaml"])
    assert environment[STORAGE_URL] == config.dagster_storage_url
    assert environment["PIPEKIT_CONFIG"] == "/etc/pipekit/config.yaml"


def test_compose_and_the_launcher_agree() -> None:
    compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    launcher = yaml.safe_load(instance_files()["docker"])["run_launcher"]["config"]
    assert launcher["image"] == compose["services"]["serve"]["image"]
    assert launcher["network"] == compose["networks"]["pipekit"]["name"]
    named = {volume["name"] for volume in compose["volumes"].values() if volume and "name" in volume}
    assert {item.split(":")[0] for item in launcher["container_kwargs"]["volumes"]} == named
    config = load_config(DOCKER / "config/config.yaml")
    assert "@postgresql/" in config.database
    assert "postgresql" in compose["services"]
    for name in ("database-password", "config/secrets.env", "config/pipekit-users.json"):
        assert name in (DOCKER / ".gitignore").read_text().splitlines()
    for path in ("create-dagster.sql", "dagster.yaml"):
        assert (DOCKER / path).is_file()


@pytest.mark.parametrize("file", [TWO_HOSTS / "config.yaml", DOCKER / "config/config.yaml"])
def test_the_configurations_are_pipekit_s(file: Path) -> None:
    config = load_config(file)
    assert config.dagster_storage_url is not None


def test_the_dockerfile_copies_what_there_is() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    copied = [line.split()[1:-1] for line in text.splitlines() if re.match(r"COPY (?!--from)", line)]
    names = [name for line in copied for name in line]
    for name in names:
        assert (ROOT / name).exists(), name
    tomllib = pytest.importorskip("tomllib", reason="Python reads TOML from 3.11 on")
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for needed in (*wheel["packages"], *wheel.get("force-include", {})):
        assert needed.split("/")[0] in names, f"the image's build needs {needed}"
    assert "USER 10001" in text


def test_no_file_below_deploy_holds_a_password() -> None:
    for file in (ROOT / "deploy").rglob("*"):
        if file.is_file():
            assert not re.search(r"://[^\s/:@'\"]+:[^\s@*$.]+@", file.read_text()), file


def _config(text: str) -> Config:
    return Config.model_validate(yaml.safe_load(text))
