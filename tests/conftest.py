"""What the suites share: a real OpenSearch for the session, a client, and index names of their own."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from opensearch.local.artifact import Distribution, install
from opensearch.local.java import find_java
from opensearch.local.server import LocalServer
from plugin.commands.local_server import make_local_server
from plugin.harness import proxy_process
from plugin.harness.proxy_process import ProxyProcess, running_proxy
from plugin.server.client_options import ClientOptions
from reranker.bundle import Bundle
from tests.native.assembled import VERSION, assembled_server
from tests.support.cores import CORES, core_arguments
from tests.support.indices.toy_index import ToyIndex, make_toy_index
from tests.support.indices.window_index import WindowIndex, make_window_index
from tests.support.java_options import QUICK_START
from tests.support.paths import TINY_BUNDLE
from tests.support.version_differences import mark_differences

NEWEST = Distribution().version
MIDDLE = "3.5.0"


# A profile of the developer's own must not change what the commands do here.
os.environ["TWINRANK_PROFILE"] = os.devnull


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--long`: suites that take minutes run whole; without it each runs in its one-minute form."""
    parser.addoption("--long", action="store_true", help="run the long suites whole, as make test-all does")
    parser.addoption(
        "--opensearch",
        choices=(NEWEST, MIDDLE, VERSION),
        default=NEWEST,
        help="the OpenSearch that live suites run on",
    )
    parser.addoption(
        "--core", choices=CORES, default=ClientOptions().core, help="the core of the proxies that run"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Have every proxy that a test starts run on the chosen core, unless the test chooses itself."""
    core, start = config.getoption("--core"), proxy_process.start_proxy
    if core != ClientOptions().core:

        def start_on_core(*where: Any, arguments: Sequence[str] = (), **options: Any) -> ProxyProcess:  # noqa: ANN401
            return start(*where, arguments=[*core_arguments(core), *arguments], **options)

        proxy_process.start_proxy = start_on_core


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On an older OpenSearch, expect what is known to differ."""
    mark_differences(config.getoption("--opensearch"), items)


@pytest.fixture(scope="session")
def is_long(pytestconfig: pytest.Config) -> bool:
    """Whether the suites that take minutes run whole."""
    return bool(pytestconfig.getoption("--long"))


@pytest.fixture(scope="session")
def core_option(pytestconfig: pytest.Config) -> str:
    """Return the chosen core, for what starts its proxies by itself."""
    return str(pytestconfig.getoption("--core"))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Yield an empty folder that every account may enter; pytest's `tmp_path` is closed to others."""
    yield from _open_folder()


@pytest.fixture(scope="session")
def session_folder() -> Iterator[Path]:
    """Yield such a folder for the whole session."""
    yield from _open_folder()


HEAP = "1g"
"""In half of it, what thousands of tests leave behind until it is collected trips the circuit breaker."""


@pytest.fixture(scope="session")
def opensearch_url(session_folder: Path, pytestconfig: pytest.Config) -> Iterator[str]:
    """Yield the URL of an OpenSearch that lives for this session, on a free port, with empty data.

    Where it cannot be started the tests fail: a live suite that skips itself would be green.
    """
    chosen = _server(pytestconfig.getoption("--opensearch"), session_folder / "server")
    server = replace(chosen, java_options=QUICK_START, heap=HEAP)
    url = server.start()
    yield url
    server.stop()


@pytest.fixture(scope="session")
def client(opensearch_url: str) -> Iterator[OpenSearch]:
    """Yield a client of that server."""
    with OpenSearch(opensearch_url, timeout=30) as connected:
        yield connected


@pytest.fixture(scope="session")
def proxy_url(opensearch_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a proxy in front of that server, with the tiny bundle."""
    folder = tmp_path_factory.mktemp("proxy")
    with running_proxy(opensearch_url, folder, bundle=TINY_BUNDLE) as proxy:
        yield proxy.url


@pytest.fixture(scope="session")
def toy_index(client: OpenSearch, opensearch_url: str) -> ToyIndex:
    """Return a small index with the tiny bundle's vectors; tests leave it as they found it."""
    return make_toy_index(client, opensearch_url, Bundle.open(TINY_BUNDLE), "toy")


@pytest.fixture(scope="session")
def one_shard(client: OpenSearch) -> WindowIndex:
    """Return an index with more documents than a window of 1,000; tests leave it as they found it."""
    return make_window_index(client, Bundle.open(TINY_BUNDLE), "windows-1", 1)


@pytest.fixture(scope="session")
def three_shards(client: OpenSearch) -> WindowIndex:
    """Return an index of the same documents over three shards."""
    return make_window_index(client, Bundle.open(TINY_BUNDLE), "windows-3", 3)


@pytest.fixture
def index_name(client: OpenSearch) -> Iterator[str]:
    """Yield an index name that nothing else uses; the index, if the test makes it, is deleted afterwards."""
    name = f"test-{uuid.uuid4().hex}"
    yield name
    client.indices.delete(index=name, ignore_unavailable=True)


def _server(version: str, folder: Path) -> LocalServer:
    """Return a server of a version, not started."""
    if version == VERSION:
        return assembled_server(folder)
    server = make_local_server(port=0, folder=folder)
    if version == NEWEST:
        return server
    java = find_java(server.java_home)
    return replace(server, distribution=install(server.home, java, Distribution(version)))


def _open_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="twinrank-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
