"""The Helm chart: what it makes of several values is what Kubernetes takes and what the proxy reads."""

import json
import os
import re
import tomllib
from typing import Any

import jsonschema
import pytest
import yaml

from plugin.harness.proxy_process import free_port
from tests.support.chart import (
    CASES,
    CHART,
    OPERATORS,
    SIDECAR,
    HelmError,
    find_differences,
    find_helm,
    find_problems,
    list_cases,
    read_objects,
    render,
)
from tests.support.command_tree import EVERY
from tests.support.http.lone_server import contained_program, serving
from tests.support.http.raw_http import ask
from tests.support.paths import ROOT

each_case = pytest.mark.parametrize("name", list_cases())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def merge(base: Any, above: Any) -> Any:  # noqa: ANN401  # as helm does it
    if not isinstance(base, dict) or not isinstance(above, dict):
        return above
    return base | {key: merge(base.get(key), value) for key, value in above.items()}


def find(name: str, kind: str, component: str | None = None) -> dict[str, Any]:
    """Return the one object of a kind in a case's output."""
    [found] = [
        each for each in read_objects(name)
        if each["kind"] == kind
        and component in (None, each["metadata"]["labels"].get("app.kubernetes.io/component"))
    ]  # fmt: skip
    return found


def pod(name: str, component: str = "proxy") -> dict[str, Any]:
    spec: dict[str, Any] = find(name, "Deployment", component)["spec"]["template"]["spec"]
    return spec


def variables(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the variables of a pod's container, with those from a Secret as the reference."""
    [container] = spec["containers"]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


@each_case
def test_kubernetes_takes_it(name: str) -> None:
    assert list(find_problems(name, read_objects(name))) == []


@each_case
def test_the_committed_output_is_that_of_the_templates(name: str) -> None:
    helm = find_helm()
    if helm is None:
        pytest.skip("no helm here: make chart builds it")
    assert list(find_differences(helm, name)) == []


@each_case
def test_the_schema_takes_the_values(name: str) -> None:
    jsonschema.validate(VALUES, SCHEMA)
    case = yaml.safe_load((CASES / f"{name}.yaml").read_text())
    jsonschema.validate(merge(VALUES, case), SCHEMA)


@pytest.mark.parametrize("values", [
    {"replicas": 3},
    {"opensearch": {"url": "http://opensearch:9200"}},
    {"opensearch": {"urls": ["https://USER:PASSWORD@opensearch:9200"]}},
    {"opensearch": {"urls": []}},
    {"opensearch": {"ca": {"configMap": "one", "secret": "another"}}},
    {"opensearch": {"auth": {"existingSecret": "one", "username": "another"}}},
    {"log": {"format": "xml"}},
    {"workers": "two"},
    {"readiness": "maybe"},
    {"backfill": {"slices": 0}},
    {"backfill": {"slices": 1001}},
    {"backfill": {"indices": ["a"]}},
])  # fmt: skip
def test_the_schema_refuses_what_would_not_work(values: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(merge(VALUES, values), SCHEMA)


def test_helm_refuses_it_too() -> None:
    helm = find_helm()
    if helm is None:
        pytest.skip("no helm here: make chart builds it")
    with pytest.raises(HelmError, match="replicas"):
        render(helm, "--set", "replicas=3")
    with pytest.raises(HelmError, match=r"opensearch\.auth\.password is missing"):
        render(helm, "--set", "opensearch.auth.username=twinrank")


def test_the_schema_knows_every_value() -> None:
    assert set(SCHEMA["properties"]) - {"global"} == set(VALUES)
    for name, value in VALUES.items():
        described = SCHEMA["properties"][name].get("properties")
        if described is not None and isinstance(value, dict) and name != "resources":
            assert set(described) == set(value), name


def test_versions_agree() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_the_alerts_are_those_of_the_proxy() -> None:
    """Helm reads no file outside the chart, so this is a copy."""
    alerts = json.loads((ROOT / "plugin" / "monitoring" / "alerts.json").read_text())
    assert json.loads((CHART / "files" / "alerts.json").read_text()) == alerts
    assert find("autoscaling", "PrometheusRule")["spec"] == alerts


@each_case
def test_every_variable_is_an_option_of_its_command(name: str) -> None:
    for each in read_objects(name):
        if each["kind"] in ("Deployment", "Job"):
            spec = each["spec"]["template"]["spec"]
            command = spec["containers"][0]["args"][0]
            known = {str(option.envvar) for option in EVERY[command].params if hasattr(option, "envvar")}
            assert variables(spec).keys() <= known


@each_case
def test_every_pod_has_no_rights_and_writes_to_tmp_alone(name: str) -> None:
    pods = [each for each in read_objects(name) if each["kind"] in ("Deployment", "Job", "Pod")]
    assert len(pods) >= 2
    for each in pods:
        spec = each["spec"] if each["kind"] == "Pod" else each["spec"]["template"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        [container] = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        mounts = container.get("volumeMounts", [])
        assert all(mount.get("readOnly") or mount["mountPath"] == "/tmp" for mount in mounts)  # noqa: S108
        assert {mount["name"] for mount in mounts} == {volume["name"] for volume in spec.get("volumes", [])}


@each_case
def test_no_password_is_outside_a_secret(name: str) -> None:
    for each in read_objects(name):
        assert each["kind"] == "Secret" or "USER-PASSWORD" not in json.dumps(each)


def test_two_proxies_one_of_which_may_be_moved_at_a_time() -> None:
    deployment = find("default", "Deployment")
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    budget = find("default", "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for selector in (budget["selector"]["matchLabels"], find("default", "Service")["spec"]["selector"]):
        assert selector.items() <= labels.items()


def test_autoscaling_decides_how_many() -> None:
    assert "replicas" not in find("autoscaling", "Deployment")["spec"]
    scaler = find("autoscaling", "HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 12)
    assert scaler["scaleTargetRef"]["name"] == find("autoscaling", "Deployment")["metadata"]["name"]
    policy = find("autoscaling", "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"][0]["from"]
    assert policy["egress"][1]["ports"] == [{"port": 9200}]


def test_tls_on_both_sides() -> None:
    given = variables(pod("tls"))
    assert given["TWINRANK_UPSTREAM"] == "https://os-1.search:9200,https://os-2.search:9200"
    assert given["TWINRANK_CA"] == "/etc/twinrank/ca/root-ca.pem"
    assert given["TWINRANK_CLIENT_KEY"] == "/etc/twinrank/client/tls.key"
    assert given["TWINRANK_CERTFILE"] == "/etc/twinrank/tls/tls.crt"
    [container] = pod("tls")["containers"]
    probes = [container[f"{kind}Probe"]["httpGet"]["scheme"] for kind in ("startup", "liveness", "readiness")]
    assert probes == ["HTTPS"] * 3
    assert find("tls", "ServiceMonitor")["spec"]["endpoints"][0]["scheme"] == "https"


@pytest.mark.parametrize(("name", "secret", "key"), [
    ("existing-secret", "twinrank-account", "user"),
    ("own-secret", "search-twinrank-opensearch", "username"),
])  # fmt: skip
def test_the_account_is_from_a_secret(name: str, secret: str, key: str) -> None:
    spec = pod(name)
    given = variables(spec)
    assert given["TWINRANK_USER"] == {"secretKeyRef": {"name": secret, "key": key}}
    assert given["TWINRANK_PASSWORD_FILE"] == "/etc/twinrank/auth/password"
    [volume] = [each for each in spec["volumes"] if each["name"] == "auth"]
    assert volume["secret"]["secretName"] == secret
    assert volume["secret"]["items"] == [{"key": "password", "path": "password"}]
    written = [each for each in read_objects(name) if each["kind"] == "Secret"]
    assert [each["metadata"]["name"] for each in written] == ([secret] if name == "own-secret" else [])


def test_each_index_has_a_sync() -> None:
    found = [each for each in read_objects("sync") if each["kind"] == "Deployment"]
    commands = [each["spec"]["template"]["spec"]["containers"][0]["args"] for each in found]
    assert ["sync", "products", "--follow"] in commands
    assert ["sync", "logs-2026", "--follow"] in commands
    selectors = [json.dumps(each["spec"]["selector"], sort_keys=True) for each in found]
    assert len(set(selectors)) == len(found) == 3


def test_a_job_has_a_pod_for_each_slice() -> None:
    job = find("backfill", "Job")["spec"]
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 12, 4)
    spec = job["template"]["spec"]
    assert spec["restartPolicy"] == "Never"
    assert spec["containers"][0]["args"] == ["backfill", "products,logs-*"]
    assert variables(spec)["TWINRANK_BACKFILL_SLICE"] == "job/12"
    assert variables(spec)["TWINRANK_BACKFILL_RATE"] == "200"
    assert variables(spec)["TWINRANK_USER"]["secretKeyRef"]["name"] == "twinrank-account"
    labels = job["template"]["metadata"]["labels"]
    [expression] = find("backfill", "NetworkPolicy")["spec"]["podSelector"]["matchExpressions"]
    assert labels["app.kubernetes.io/component"] in expression["values"]
    selected = find("backfill", "Service")["spec"]["selector"]
    assert not selected.items() <= labels.items(), "no search is sent to it"


def test_other_values_make_another_job() -> None:
    helm = find_helm()
    if helm is None:
        pytest.skip("no helm here: make chart builds it")
    names = list[str]()
    for more in ("image.tag=v1", "image.tag=v1", "image.tag=v2", "backfill.retries=7"):
        written = render(helm, "--set", f"backfill.index=a,fullnameOverride={'n' * 50}", "--set", more)
        jobs = [each for each in yaml.safe_load_all(written) if each["kind"] == "Job"]
        names += [each["metadata"]["name"] for each in jobs]
    assert names[0] == names[1]
    assert len(set(names)) == 3
    assert max(map(len, names)) + len("-999") <= 63


def test_what_prometheus_operator_reads_is_no_kubernetes_of_its_own() -> None:
    kinds = {
        each["kind"]
        for name in list_cases()
        for each in read_objects(name)
        if each["apiVersion"] == OPERATORS
    }
    assert kinds == {"ServiceMonitor", "PodMonitor", "PrometheusRule"}


def test_the_rendered_command_runs_under_the_rendered_restrictions() -> None:
    """Nothing can be written but /tmp, no capability is left, and the probes ask what answers."""
    contained = contained_program()
    spec = pod("default")
    [container] = spec["containers"]
    given = {name: value for name, value in variables(spec).items() if name != "TWINRANK_UPSTREAM"}
    port = free_port()
    assert given.pop("TWINRANK_LISTEN") == "0.0.0.0:9100"
    assert container["args"] == ["serve"]
    environment = given | {
        "PATH": os.environ["PATH"], "HOME": "/tmp", "PYTHONDONTWRITEBYTECODE": "1",  # noqa: S108
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with serving(url, prefix=contained, cwd=ROOT, env=environment):
        assert ask(url, "GET", container["livenessProbe"]["httpGet"]["path"]).status == 200
        assert ask(url, "GET", container["startupProbe"]["httpGet"]["path"]).status == 200
        readiness = ask(url, "GET", container["readinessProbe"]["httpGet"]["path"])
        assert readiness.status == 503, "no OpenSearch is there"


def test_the_sidecar_is_confined_and_reached_by_its_pod_alone() -> None:
    [sidecar] = yaml.safe_load_all(SIDECAR.read_text())
    assert list(find_problems(SIDECAR.name, [sidecar])) == []
    [container] = sidecar["spec"]["template"]["spec"]["initContainers"]
    given = {each["name"]: each["value"] for each in container["env"]}
    known = {str(option.envvar) for option in EVERY["serve"].params if hasattr(option, "envvar")}
    assert given.keys() <= known
    assert given["TWINRANK_LISTEN"].startswith("127.0.0.1:")
    assert container["restartPolicy"] == "Always"
    shared = ("allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities")
    [proxy] = pod("default")["containers"]
    for name in shared:
        assert container["securityContext"][name] == proxy["securityContext"][name]
    compile(container["startupProbe"]["exec"]["command"][-1], "<probe>", "exec")


def test_the_documented_values_exist() -> None:
    page = (ROOT / "docs" / "how-to" / "deploy.md").read_text()
    named = re.findall(r"^\| `([a-zA-Z.]+)` \|", page, re.MULTILINE)
    assert len(named) > 15
    for path in named:
        value: Any = VALUES
        for part in path.split("."):
            assert part in value, path
            value = value[part]
