"""The manifests agree with the code: versions, folders, times, variables and commands that they
name."""

from __future__ import annotations

import copy
import re
import tomllib
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ancestral.jobs import settings
from ancestral.jobs.settings import Settings
from ancestral.orchestration.cluster import ray_module
from ancestral.orchestration.serve import DRAIN_SECONDS
from tests.complaint import complaint

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def read(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(read("compose.yaml"))
    return document


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    ray_cluster, fleet = yaml.safe_load_all(read("ray-cluster.yaml"))
    return {"cluster": ray_cluster, "fleet": fleet}


def pins(file: Path = ROOT / "constraints.txt") -> dict[str, str]:
    return dict(line.split("==") for line in file.read_text().splitlines() if line)


def pinned(package: str) -> str:
    return pins()[package]


def commands(text: str) -> list[list[str]]:
    """The command lines of ours in shell text: all words after `ancestral`, or after the client."""
    # Compose puts the value of a variable, or what stands behind its name, in its place.
    filled = re.sub(r"\$\{\w+:-(\w*)\}", r"\1", text)
    lines = re.findall(r"(?:\bexec ancestral|`ancestral|--rm client) ([\w. -]+)", filled)
    return [line.split() for line in lines]


@pytest.mark.parametrize("name", ["compose.yaml", "ray-cluster.yaml", "README.md"])
def test_every_command_named_is_one_of_the_command_line(name: str) -> None:
    named = commands(read(name))

    assert named
    for command in named:
        assert complaint(command) is None, f"{name}: ancestral {' '.join(command)}"


def test_a_wrong_command_or_option_would_be_found() -> None:
    levitate, sideways = commands("exec ancestral levitate\nexec ancestral up --sideways 3\n")

    assert "No such command" in str(complaint(levitate))
    assert "No such option" in str(complaint(sideways))


def test_the_environment_of_compose_reaches_the_settings(compose: dict[str, Any]) -> None:
    # Given the environment of the container that keeps the samplers
    environment = compose["services"]["sampler"]["environment"]

    # When
    settings = Settings.from_environment(environment)

    # Then each address is that of a service, or lies in the store
    services = compose["services"]
    queue = re.fullmatch(r"redis://(.+):6379", settings.redis_url or "")
    assert queue is not None and queue[1] in services
    store = re.fullmatch(r"http://(.+):8333", environment["AWS_ENDPOINT_URL"])
    assert store is not None and store[1] in services
    assert settings.state_uri.startswith("s3://")
    ray = re.fullmatch(r"(.+):6379", settings.ray_address or "")
    assert ray is not None and ray[1] in services


def test_a_machine_with_gpus_gives_them_to_what_draws(compose: dict[str, Any]) -> None:
    more: dict[str, Any] = yaml.safe_load(read("compose.cuda.yaml"))

    assert set(more["services"]) == {"sampler"}
    [device] = more["services"]["sampler"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    # The image is built for what the fleet is told to draw on.
    built_for = compose["services"]["sampler"]["build"]["args"]["DEVICE"]
    assert f"--device {built_for}" in compose["services"]["sampler"]["command"][-1]


def test_what_others_wait_for_comes_back_by_itself(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert {name for name, each in services.items() if each.get("restart") == "unless-stopped"} == (
        set(services) - {"client"}
    )


def test_services_wait_for_services_that_tell_their_health(compose: dict[str, Any]) -> None:
    services = compose["services"]
    waited_for = [name for each in services.values() for name in each.get("depends_on", {})]

    assert waited_for
    assert all("healthcheck" in services[name] for name in waited_for)


def test_the_queue_never_evicts(compose: dict[str, Any]) -> None:
    command = compose["services"]["valkey"]["command"]

    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


def test_ray_is_the_pinned_one(cluster: dict[str, Any]) -> None:
    assert cluster["cluster"]["spec"]["rayVersion"] == pinned("ray")


def test_the_fleet_joins_the_head_and_has_workers_started(cluster: dict[str, Any]) -> None:
    (group,) = cluster["cluster"]["spec"]["workerGroupSpecs"]
    (container,) = cluster["fleet"]["spec"]["template"]["spec"]["containers"]
    (command,) = commands(container["command"][-1])

    # KubeRay calls the head's service so.
    head = f"{cluster['cluster']['metadata']['name']}-head-svc:6379"
    assert f"ray start --address={head} " in container["command"][-1]
    assert {"name": "RAY_ADDRESS", "value": head} in container["env"]
    # Samplers that wait have workers started, as many as they are, and there need be none.
    assert cluster["cluster"]["spec"]["enableInTreeAutoscaling"] is True
    assert "replicas" not in group and command[command.index("--samplers") + 1].startswith("0-")


def test_a_fleet_that_is_told_to_end_has_time_to_drain(
    compose: dict[str, Any], cluster: dict[str, Any]
) -> None:
    for granted in (
        compose["services"]["sampler"]["stop_grace_period"].removesuffix("s"),
        cluster["fleet"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"],
    ):
        # What it is at when it is told ends first.
        assert int(granted) >= DRAIN_SECONDS + 60


def test_workers_can_be_scaled_without_a_bound(cluster: dict[str, Any]) -> None:
    (group,) = cluster["cluster"]["spec"]["workerGroupSpecs"]
    assert "maxReplicas" not in group


def test_ray_s_autoscaler_knows_what_a_worker_has(cluster: dict[str, Any]) -> None:
    # Given the cluster as Kubernetes fills it in
    filled = copy.deepcopy(cluster["cluster"])
    filled["metadata"]["namespace"] = "default"
    (group,) = filled["spec"]["workerGroupSpecs"]
    group.update(replicas=0, minReplicas=0, maxReplicas=2**31 - 1)

    # When
    kuberay = ray_module("ray.autoscaler._private.kuberay.autoscaling_config")
    nodes = kuberay._derive_autoscaling_config_from_ray_cr(filled)["available_node_types"]

    # Then a sampler, which takes a processor and a GPU, fits on it, and none does on the head
    worker = nodes[group["groupName"]]
    assert (worker["resources"]["CPU"], worker["resources"]["GPU"]) == (4, 1)
    assert (worker["min_workers"], worker["max_workers"]) == (0, 2**31 - 1)
    assert nodes["headgroup"]["resources"]["CPU"] == 0


def test_who_waits_for_the_head_has_the_token(cluster: dict[str, Any]) -> None:
    # KubeRay gives its container that waits `env` of the workers', but not `envFrom`.
    (group,) = cluster["cluster"]["spec"]["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    assert {each["name"] for each in container["env"]} == {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"}


def test_so_has_the_autoscaler(cluster: dict[str, Any]) -> None:
    # It runs beside the head, in a container of KubeRay's.
    options = cluster["cluster"]["spec"]["autoscalerOptions"]
    assert options["envFrom"] == [{"secretRef": {"name": "ancestral"}}]


def test_every_variable_that_is_read_is_explained() -> None:
    named = set(re.findall(r"ANCESTRAL_[A-Z_]+", str(settings.__doc__)))
    assert named
    assert named <= set(re.findall(r"ANCESTRAL_[A-Z_]+", read("README.md")))


def test_all_pods_run_one_image_and_read_one_secret(cluster: dict[str, Any]) -> None:
    spec = cluster["cluster"]["spec"]
    templates = [
        spec["headGroupSpec"]["template"],
        *(group["template"] for group in spec["workerGroupSpecs"]),
        cluster["fleet"]["spec"]["template"],
    ]
    containers = [each for template in templates for each in template["spec"]["containers"]]

    assert len({each["image"] for each in containers}) == 1
    assert all(each["envFrom"] == [{"secretRef": {"name": "ancestral"}}] for each in containers)
    assert "create secret generic ancestral " in read("README.md")


def test_the_image_holds_every_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = {path.split("/")[0] for path in project["tool"]["setuptools"]["package-dir"].values()}
    copied = set(re.findall(r"^COPY (\w+) \w+$", read("Dockerfile"), flags=re.M))
    let_in = set(re.findall(r"^!(\w+)$", read("Dockerfile.dockerignore"), flags=re.M))

    assert copied == folders
    assert folders <= let_in


def test_no_node_reports_usage_home() -> None:
    # In the image: of the commands that start a node, only a head's would heed its option
    assert "ENV RAY_USAGE_STATS_ENABLED=0\n" in read("Dockerfile")


def test_triton_is_the_one_that_torch_asks_for() -> None:
    # torch 2.13.0 for CUDA requires triton==3.7.1; that for processors, which the tests run with,
    # says nothing of it
    assert (pinned("torch"), pinned("triton")) == ("2.13.0", "3.7.1")


def test_what_the_image_adds_for_ray_is_pinned_too() -> None:
    # Given what Ray asks for where a node reports its health
    wanted = [Requirement(line) for line in requires("ray") or ()]
    names = {
        canonicalize_name(each.name)
        for each in wanted
        if each.marker is not None and each.marker.evaluate({"extra": "default"})
    }
    everywhere, here = pins(), pins(DEPLOY / "constraints.txt")

    # Then the versions are known, in one place each
    assert "opencensus" in names
    assert names <= {canonicalize_name(name) for name in everywhere | here}
    assert not everywhere.keys() & here.keys()


def test_the_image_takes_torch_at_its_pin() -> None:
    # The Dockerfile reads the pin from constraints.txt, where it stands on a line of its own
    assert "grep '^torch==' constraints.txt" in read("Dockerfile")
    assert re.fullmatch(r"\d+\.\d+\.\d+", pinned("torch"))
