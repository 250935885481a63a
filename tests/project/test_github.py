"""What GitHub is told: workflows, forms and hooks name only what there is."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DEV = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["dev"]

each_workflow = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)


def read(file: Path) -> dict[Any, Any]:
    content = yaml.safe_load(file.read_text())
    assert isinstance(content, dict)
    return content


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in read(file)["jobs"].values() for step in job["steps"]]


RELEASE = ROOT / ".github" / "workflows" / "release.yml"

MAY_WRITE = {
    "image": {"contents": "read", "packages": "write"},
    "publish": {"contents": "write", "packages": "write", "id-token": "write", "attestations": "write"},
}
"""The jobs of a release that publish, and what each may do."""


@each_workflow
def test_a_workflow_may_read_and_no_more_unless_it_publishes(file: Path) -> None:
    workflow = read(file)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"] is (file != RELEASE)
    given = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert given == (MAY_WRITE if file == RELEASE else {})
    assert all(job["timeout-minutes"] for job in workflow["jobs"].values())


def test_only_a_tag_makes_a_release_and_nothing_is_taken_from_a_cache() -> None:
    workflow = read(RELEASE)
    assert workflow[True] == {"push": {"tags": ["v*"]}}, "YAML reads `on` as true"
    text = RELEASE.read_text()
    assert "cache:" not in text
    assert "actions/cache" not in text


def test_a_release_is_of_both_processors_with_contents_and_origin() -> None:
    jobs = read(RELEASE)["jobs"]
    platforms = jobs["image"]["strategy"]["matrix"]["include"]
    assert [each["platform"] for each in platforms] == ["amd64", "arm64"]
    build = next(step["run"] for step in jobs["image"]["steps"] if "buildx build" in step.get("run", ""))
    assert "--sbom=true --provenance=mode=max" in build
    attested = [step["with"] for step in jobs["publish"]["steps"] if "attest" in step.get("uses", "")]
    assert {next(iter(each)) for each in attested} == {"subject-name", "subject-path"}
    assert jobs["publish"]["needs"] == ["packages", "image"]


@pytest.mark.parametrize("name", ["ci.yml", "release.yml"])
def test_every_package_is_built_and_kept(name: str) -> None:
    packages = {file.parent.relative_to(ROOT) for file in ROOT.glob("packages/*/pyproject.toml")}
    file = next(each for each in WORKFLOWS if each.name == name)
    jobs = [job["steps"] for job in read(file)["jobs"].values()]
    assert packages
    for package in packages:
        command = f"-m pip wheel --no-deps --no-build-isolation --wheel-dir dist {package}\n"
        [building] = [steps for steps in jobs if any(command in step.get("run", "") for step in steps)]
        [kept] = [step["with"]["path"] for step in building if "upload-artifact" in step.get("uses", "")]
        assert kept in {"dist", "dist/*.whl"}


@each_workflow
def test_a_workflow_uses_githubs_own_actions_at_a_commit(file: Path) -> None:
    used = re.findall(r"uses: (.*)", file.read_text())
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v[0-9.]+", each) for each in used)
    checkouts = [step for step in steps(file) if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@each_workflow
def test_a_workflow_runs_tasks_that_exist(file: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word for step in steps(file) for word in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))}
    assert named <= targets


@each_workflow
def test_a_cache_depends_on_files_that_exist(file: Path) -> None:
    patterns = re.findall(r"'([^']+\.(?:py|xml))'", file.read_text())
    assert all(any(ROOT.glob(pattern)) for pattern in patterns)


def test_every_python_that_is_supported_is_tested_on_both_processors() -> None:
    jobs = read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    described = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = described["requires-python"].removeprefix(">=")
    versions = jobs["test"]["strategy"]["matrix"]["python"]
    assert versions == jobs["check"]["strategy"]["matrix"]["python"]
    assert versions[0] == oldest
    assert any(runner.endswith("-arm") for runner in jobs["test"]["strategy"]["matrix"]["runner"])


def test_hooks_run_tools_of_the_virtual_environment() -> None:
    hooks = [hook for repo in read(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    tools = {hook["entry"].split()[0] for hook in hooks}
    assert all(hook["language"] == "system" for hook in hooks), "a hook of another kind is downloaded"
    assert {Path(tool).parent for tool in tools} == {Path(".venv/bin")}
    assert {Path(tool).name for tool in tools} <= {re.split(r"[>=; ]", each)[0] for each in DEV}


@pytest.mark.parametrize("name", ["bug", "question"])
def test_a_form_asks_for_something(name: str) -> None:
    form = read(ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml")
    fields = [each for each in form["body"] if each["type"] != "markdown"]
    assert len({each["id"] for each in fields}) == len(fields)
    assert any(each.get("validations", {}).get("required") for each in fields)


def test_nothing_but_the_gate_looks_beside_the_checkout() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    files = [
        name for name in listed.decode().split("\0") if name.endswith((".md", ".py", ".toml", ".yml", "file"))
    ]
    assert len(files) > 500
    beside = "../" + "shared"
    assert [name for name in files if (ROOT / name).exists() and beside in (ROOT / name).read_text()] == []
