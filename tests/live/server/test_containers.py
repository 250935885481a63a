"""The image's own command under the restrictions of the compose files and of the chart.

Not the same as in Docker: the system's programs are this machine's, and there is neither a seccomp filter nor
a limit of memory.
"""

import json
import os
import signal
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import free_port
from reranker.bundle import DEFAULT_BUNDLE, Bundle
from tests.support.chart import read_objects
from tests.support.containers.confined import ConfinedProcess, confined, find_obstacle, run_confined
from tests.support.containers.image import BuiltImage, build_image
from tests.support.containers.settings import ContainerSettings, Contents, read_pod, read_service
from tests.support.http.raw_http import RawAnswer, ask
from tests.support.http.tls_relay import Certificates, make_certificates, tls_relay
from tests.support.indices.toy_index import ToyIndex, index_body, make_toy_index
from tests.support.processes import children_of
from tests.support.sync_run import with_vector

OBSTACLE = find_obstacle()

pytestmark = [pytest.mark.live, pytest.mark.skipif(OBSTACLE is not None, reason=str(OBSTACLE))]

STARTS_IN_S = 120.0
"""As long as the chart's startupProbe waits."""

LIVE, READY = "/_plugins/_rerank/health/live", "/_plugins/_rerank/health/ready"

CASES = ("docker-compose.yml", "tls", "default", "existing-secret", "deploy/compose/secured.yml")
"""Compose files, and cases of the chart. The first two run in the short form: they differ most."""


@dataclass(frozen=True)
class Upstreams:
    """The same OpenSearch, plain and behind TLS, and what the chart's Secrets hold for it."""

    plain: str
    secured: str
    contents: Contents
    secrets: dict[str, bytes]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> BuiltImage:
    return build_image(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def upstreams(opensearch_url: str, certificates: Certificates) -> Iterator[Upstreams]:
    authority = certificates.ca.read_bytes()
    pair = {"tls.crt": certificates.certificate.read_bytes(), "tls.key": certificates.key.read_bytes()}
    password = b"not asked for\n"
    contents = {
        "opensearch-ca": {"ca.crt": authority, "root-ca.pem": authority},
        "twinrank-client": pair,
        "twinrank-tls": pair,
        "twinrank-account": {"user": b"someone", "username": b"someone", "password": password},
        "twinrank-tokens": {"tokens": b"a-token-of-more-than-sixteen-characters\n"},
    }
    with tls_relay(opensearch_url, certificates) as secured:
        yield Upstreams(opensearch_url, secured, contents, {"root-ca": authority, "password": password})


@pytest.fixture(scope="module")
def searched(client: OpenSearch, opensearch_url: str) -> Iterator[ToyIndex]:
    index = make_toy_index(
        client, opensearch_url, Bundle.open(DEFAULT_BUNDLE), "searched-from-a-container", 40
    )
    yield index
    client.indices.delete(index=index.name)


def of_this_machine(settings: ContainerSettings, upstreams: Upstreams, **changes: str) -> ContainerSettings:
    """Return settings with the address of an OpenSearch that is here, and a port that is free."""
    is_plain = settings.environment["TWINRANK_UPSTREAM"].startswith("http://")
    changes["TWINRANK_UPSTREAM"] = upstreams.plain if is_plain else upstreams.secured
    return replace(settings, environment=settings.environment | changes)


def read_settings(case: str, image: BuiltImage, upstreams: Upstreams) -> ContainerSettings:
    """Return the proxy's settings in a case."""
    if case.endswith(".yml"):
        return read_service(case, image.config, upstreams.secrets)
    [deployment] = [each for each in read_objects(case) if each["kind"] == "Deployment"]
    return read_pod(deployment["spec"]["template"]["spec"], image.config, upstreams.contents)


def probe(url: str, path: str) -> int:
    """Return the status that a probe gets, which verifies no certificate; 0: nobody answers."""
    try:
        return get(url, path).status
    except OSError:
        return 0


def get(url: str, path: str, body: bytes | None = None) -> RawAnswer:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    headers = {"Content-Type": "application/json"}
    return ask(url, "GET" if body is None else "POST", path, body, headers, trusting=context)


@contextmanager
def serving(
    image: BuiltImage, settings: ContainerSettings, folder: Path
) -> Iterator[tuple[ConfinedProcess, str]]:
    """Run a proxy; yield it and its URL when it is ready."""
    scheme = "https" if "TWINRANK_CERTFILE" in settings.environment else "http"
    url = f"{scheme}://127.0.0.1:{settings.environment['TWINRANK_LISTEN'].rpartition(':')[2]}"
    with confined(image, settings, folder) as running:
        for path in (LIVE, READY):
            end = time.monotonic() + STARTS_IN_S
            while probe(url, path) != 200:
                assert running.child.poll() is None, running.log.read_text()
                assert time.monotonic() < end, running.log.read_text()
                time.sleep(0.2)
        yield running, url


@pytest.mark.parametrize("case", CASES)
def test_the_proxy_serves_with_no_rights_and_nothing_to_write_to_but_its_volumes(
    case: str, image: BuiltImage, upstreams: Upstreams, searched: ToyIndex, tmp_path: Path, is_long: bool
) -> None:
    if case not in CASES[:2] and not is_long:
        pytest.skip("two of the cases are enough without --long")
    port = free_port(9100)
    listen = f"0.0.0.0:{port}"
    settings = of_this_machine(read_settings(case, image, upstreams), upstreams, TWINRANK_LISTEN=listen)
    assert settings.volumes == ("/tmp",)  # noqa: S108 - a path inside the container
    with serving(image, settings, tmp_path) as (running, url):
        found = get(url, f"/{searched.name}/_search", json.dumps({"query": searched.query}).encode())
        assert found.rerank_status.startswith("applied"), found
        assert running.find_writable_folders() == set(settings.volumes)
        written = running.execute("find", *settings.volumes, "-type", "f").stdout.split()
        assert [name for name in written if not name.startswith("/tmp/twinrank-")] == []  # noqa: S108
        touched = running.execute("touch", "/opt/twinrank/file", "/file", "/etc/file", "/tmp/file")  # noqa: S108
        assert touched.stderr.count("Read-only file system") == 3, touched.stderr
        if url.startswith("http:"):
            words = [each.replace(":9100/", f":{port}/") for each in image.config.health_check]
            checked = running.execute("env", f"PATH={settings.environment['PATH']}", *words)
            assert checked.returncode == 0, checked.stderr
        processes = [running.pid, *children_of(running.pid)]
        assert len(processes) > 1, "workers too"
        for process in processes:
            status = running.read_status(process)
            assert status["Uid"].split() == status["Gid"].split() == ["10001"] * 4
            assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
            assert status["NoNewPrivs"] == "1"
            assert status["NSpid"].split()[-1] != str(process), "numbered as in a container"
        stop(running)
    assert "Traceback" not in running.log.read_text()


def stop(running: ConfinedProcess) -> None:
    """Stop it as Docker and Kubernetes do: by a signal to process 1, which has no default for it."""
    os.kill(running.pid, signal.SIGTERM)
    assert running.child.wait(45) == 0, running.log.read_text()


def test_a_pod_of_the_backfills_job_writes_vectors_and_ends(
    image: BuiltImage, upstreams: Upstreams, client: OpenSearch, index_name: str, tmp_path: Path
) -> None:
    client.indices.create(index=index_name, body=index_body(Bundle.open(DEFAULT_BUNDLE)))
    for number in range(20):
        client.index(index=index_name, body={"text": f"text {number}"})
    [job] = [each for each in read_objects("backfill") if each["kind"] == "Job"]
    settings = read_pod(job["spec"]["template"]["spec"], image.config, upstreams.contents)
    for pod in range(2):
        changes = {"JOB_COMPLETION_INDEX": str(pod), "TWINRANK_BACKFILL_SLICE": "job/2"}
        own = of_this_machine(settings, upstreams, **changes)
        own = replace(own, command=tuple(index_name if "," in each else each for each in own.command))
        ended = run_confined(image, own, tmp_path / str(pod))
        assert ended.returncode == 0, ended.stderr
    assert with_vector(client, index_name) == 20


def test_without_the_volume_the_message_names_it(
    image: BuiltImage, upstreams: Upstreams, tmp_path: Path
) -> None:
    settings = of_this_machine(read_settings("docker-compose.yml", image, upstreams), upstreams)
    ended = run_confined(image, replace(settings, volumes=()), tmp_path)
    assert ended.returncode == 1
    assert "mount a tmpfs at /tmp" in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
