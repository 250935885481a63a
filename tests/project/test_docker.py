"""The image and the compose file: what they promise about safety, health and versions."""

import importlib
import json
import re
import shlex
from typing import Any
from urllib.parse import urlsplit

import click
import pytest

from opensearch.local.artifact import Distribution
from tests.support.command_tree import EVERY
from tests.support.containers.image import read_instructions
from tests.support.paths import ROOT

HEALTH = "/_plugins/_rerank/health/ready"


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions in order."""
    return read_instructions()


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Return the services of docker-compose.yml."""
    yaml = importlib.import_module("yaml")  # comes with the export extra, and has no types
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert set(compose["services"]) == {"opensearch", "twinrank"}
    assert set(compose["volumes"]) == {"opensearch-data"}
    found: dict[str, Any] = compose["services"]
    return found


def last(instructions: list[tuple[str, str]], name: str) -> str:
    return [value for instruction, value in instructions if instruction == name][-1]


def test_the_image_serves_by_default(instructions: list[tuple[str, str]]) -> None:
    assert json.loads(last(instructions, "ENTRYPOINT")) == ["twinrank"]
    assert json.loads(last(instructions, "CMD")) == ["serve"], "an argument would win over every variable"
    assert "TWINRANK_LISTEN=0.0.0.0:9100" in last(instructions, "ENV").split()
    assert last(instructions, "EXPOSE") == "9100"


def test_the_image_does_not_run_as_root(instructions: list[tuple[str, str]]) -> None:
    names = [name for name, _ in instructions]
    assert last(instructions, "USER") == "10001"
    assert names.index("USER") > len(names) - 1 - names[::-1].index("FROM"), "in the final stage"


def test_the_image_has_runtime_dependencies_alone(instructions: list[tuple[str, str]]) -> None:
    install = next(value for name, value in instructions if name == "RUN" and " install " in value)
    words = shlex.split(install)
    assert words[-1] == ".", "no extra: no torch, no Java"
    assert words[words.index("--constraint") + 1] == "constraints.txt"


def test_every_package_is_copied_and_let_through(instructions: list[tuple[str, str]]) -> None:
    copied = {word for name, value in instructions if name == "COPY" for word in value.split()[:-1]}
    needed = {file.parent.name for file in ROOT.glob("*/__init__.py")} - {"tests"}
    files = {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "NOTICE"}
    assert needed | files <= copied
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{name}" for name in needed | files} <= set(allowed)
    assert "*" in allowed


def test_health_is_checked(instructions: list[tuple[str, str]], services: dict[str, Any]) -> None:
    check = last(instructions, "HEALTHCHECK")
    image_check = json.loads(check[check.index("CMD") + 3 :])
    assert HEALTH in image_check[-1]
    compile(image_check[-1], "<health check>", "exec")
    assert services["twinrank"]["healthcheck"]["test"] == ["CMD", *image_check]
    assert "_cluster/health" in services["opensearch"]["healthcheck"]["test"][-1]
    assert services["twinrank"]["depends_on"] == {"opensearch": {"condition": "service_healthy"}}


def test_compose_runs_what_the_image_runs(services: dict[str, Any], secured: dict[str, Any]) -> None:
    for proxy in (services["twinrank"], secured["services"]["twinrank"]):
        assert "command" not in proxy
        assert "TWINRANK_LISTEN" not in proxy["environment"]
    assert services["twinrank"]["environment"] == {"TWINRANK_UPSTREAM": "http://opensearch:9200"}


def test_the_proxy_is_confined(services: dict[str, Any]) -> None:
    proxy = services["twinrank"]
    assert proxy["read_only"] is True
    assert proxy["tmpfs"] == ["/tmp"]  # noqa: S108 - a path inside the container
    assert proxy["cap_drop"] == ["ALL"]
    assert proxy["security_opt"] == ["no-new-privileges:true"]


def test_only_this_machine_reaches_the_unsecured_ports(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service["ports"]]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert "security plugin is off" in (ROOT / "docker-compose.yml").read_text()


def test_versions_agree(services: dict[str, Any]) -> None:
    assert services["opensearch"]["image"] == f"opensearchproject/opensearch:{Distribution().version}"
    project = (ROOT / "pyproject.toml").read_text()
    version = re.search(r'^version = "(.+)"$', project, flags=re.MULTILINE)
    assert version
    assert services["twinrank"]["image"] == f"twinrank:{version[1]}"


@pytest.fixture(scope="module")
def secured() -> dict[str, Any]:
    """Return the compose file whose OpenSearch has users and TLS."""
    yaml = importlib.import_module("yaml")
    found: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose" / "secured.yml").read_text())
    return found


def test_the_secured_one_verifies_opensearch_and_shows_no_password(secured: dict[str, Any]) -> None:
    proxy = secured["services"]["twinrank"]
    given = proxy["environment"]
    known = {str(option.envvar) for option in EVERY["serve"].params if isinstance(option, click.Option)}
    assert given.keys() <= known
    host = urlsplit(given["TWINRANK_UPSTREAM"])
    assert host.scheme == "https"
    assert host.hostname in secured["services"]["opensearch"]["networks"]["default"]["aliases"]
    for name in ("TWINRANK_CA", "TWINRANK_PASSWORD_FILE"):
        assert given[name].removeprefix("/run/secrets/") in proxy["secrets"]
    assert set(proxy["secrets"]) == set(secured["secrets"])


def test_the_secured_one_is_confined_alike(secured: dict[str, Any], services: dict[str, Any]) -> None:
    for name in ("read_only", "tmpfs", "cap_drop", "security_opt", "mem_limit", "image", "ports"):
        assert secured["services"]["twinrank"][name] == services["twinrank"][name]
    assert secured["services"]["opensearch"]["image"] == services["opensearch"]["image"]
    assert (ROOT / "deploy" / "compose" / secured["services"]["twinrank"]["build"]).resolve() == ROOT
