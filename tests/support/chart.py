"""The Helm chart's outputs: `python -m tests.support.chart check`, or `write` after a change of the chart.

Each file in deploy/helm/cases holds values; deploy/helm/rendered has what `helm template` makes of them.
`check` validates those offline. It compares them with the templates if helm is there: `make chart` builds it.
"""

import difflib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from tests.support.paths import ROOT

CHART = ROOT / "deploy" / "helm" / "twinrank"
CASES = ROOT / "deploy" / "helm" / "cases"
RENDERED = ROOT / "deploy" / "helm" / "rendered"
SIDECAR = ROOT / "deploy" / "kubernetes" / "sidecar.yaml"
HELM = ROOT / ".cache" / "bin" / "helm"

VERSIONS = ("1.30", "1.37")
"""The oldest Kubernetes that the chart is for, and the newest whose schemas are known."""

_KUBERNETES = ("--kube-version", VERSIONS[0])
"""What helm is to render for: a helm that was built by `go install` assumes a much older one."""

OPERATORS = "monitoring.coreos.com/v1"
"""The API of Prometheus Operator, which is not Kubernetes' own and has no schema here."""


class HelmError(Exception):
    """Helm does not take the chart or the values; the message is its own."""


def find_helm() -> Path | None:
    """Return helm's program: the one that `make chart` has built, else that of the path."""
    if HELM.is_file():
        return HELM
    found = shutil.which("helm")
    return Path(found) if found else None


def list_cases() -> list[str]:
    """Return the name of each case."""
    return sorted(file.stem for file in CASES.glob("*.yaml"))


def render(helm: Path, *arguments: str) -> str:
    """Return what the chart makes of the values that the arguments name.

    Raises:
        HelmError: helm refuses them.
    """
    command = [str(helm), "template", "search", str(CHART), "--namespace", "search", *_KUBERNETES, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if ended.returncode:
        raise HelmError(ended.stderr.strip())
    return ended.stdout


def render_case(helm: Path, name: str) -> str:
    """Return what the chart makes of a case."""
    return render(helm, "--values", str(CASES / f"{name}.yaml"))


def read_objects(name: str) -> list[dict[str, Any]]:
    """Return the objects of a case's committed output."""
    documents = yaml.safe_load_all((RENDERED / f"{name}.yaml").read_text())
    return [each for each in documents if each is not None]


def find_problems(name: str, objects: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield what Kubernetes' schemas find wrong with the objects of a file of this name."""
    for each in objects:
        if each["apiVersion"] == OPERATORS:
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(each, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                path = ".".join(map(str, error.path))
                yield f"{name}: {each['kind']} {each['metadata']['name']}, {version}: {path}: {error.message}"


def find_differences(helm: Path, name: str) -> Iterator[str]:
    """Yield the lines in which a case's committed output and the templates differ."""
    committed = (RENDERED / f"{name}.yaml").read_text().splitlines()
    yield from difflib.unified_diff(
        committed, render_case(helm, name).splitlines(), f"rendered/{name}.yaml", "templates", lineterm=""
    )


def check() -> int:
    """Validate and compare all cases; return the exit status."""
    cases, helm = list_cases(), find_helm()
    if [file.stem for file in sorted(RENDERED.glob("*.yaml"))] != cases:
        return _fail(["deploy/helm/rendered: expected a file for each case"])
    found = [problem for name in cases for problem in find_problems(name, read_objects(name))]
    found += find_problems(SIDECAR.name, list(yaml.safe_load_all(SIDECAR.read_text())))
    if helm is None:
        _say("WARNING: the chart's outputs were NOT compared with its templates: no helm here. make chart")
    else:
        found += [line for name in cases for line in find_differences(helm, name)]
    return _fail(found) if found else 0


def write() -> int:
    """Lint the chart and write the output of each case; return the exit status."""
    helm = find_helm()
    if helm is None:
        return _fail(["expected helm, found none: make chart builds it"])
    for name in list_cases():
        case = CASES / f"{name}.yaml"
        lint = [str(helm), "lint", "--strict", "--quiet", str(CHART), *_KUBERNETES, "--values", str(case)]
        if subprocess.run(lint, check=False, timeout=300).returncode:
            return 1
        (RENDERED / f"{name}.yaml").write_text(render_case(helm, name))
    return check()


def _fail(lines: list[str]) -> int:
    _say("\n".join(lines))
    return 1


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(write() if sys.argv[1:] == ["write"] else check())
