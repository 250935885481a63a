"""A server of its own, since each test wipes it, with what some tests of OpenSearch's ask of it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from plugin.commands.local_server import make_local_server
from plugin.harness.proxy_process import running_proxy
from tests.rest_spec.load import Spec, load_spec
from tests.support.java_options import QUICK_START
from tests.support.paths import TINY_BUNDLE


@pytest.fixture(scope="session")
def spec() -> Spec:
    """Return OpenSearch's published tests."""
    return load_spec()


@pytest.fixture(scope="session")
def own_url(session_folder: Path) -> Iterator[str]:
    """Yield the URL of a server whose everything may be deleted."""
    folder = session_folder / "rest-spec"
    chosen = replace(
        make_local_server(port=0, folder=folder),
        java_options=QUICK_START,
        settings={"path.repo": [str(folder / "data" / "repositories")], "node.attr.testattr": "test"},
    )
    yield chosen.start()
    chosen.stop()


@pytest.fixture(scope="session")
def own_proxy(own_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a proxy in front of it."""
    folder = tmp_path_factory.mktemp("rest-spec-proxy")
    with running_proxy(own_url, folder, bundle=TINY_BUNDLE, arguments=["--workers", "1"]) as proxy:
        yield proxy.url
