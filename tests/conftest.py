"""What the suites share: a real OpenSearch for the session, a client, and index names of their own."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from plugin.opensearch_command import local_server

QUICK_START = ("-XX:TieredStopAtLevel=1",)
"""Java options that halve the processor time of a start; a server that is measured must not have them."""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Yield an empty folder that every account may enter; pytest's `tmp_path` is closed to others."""
    yield from _open_folder()


@pytest.fixture(scope="session")
def session_folder() -> Iterator[Path]:
    """Yield such a folder for the whole session."""
    yield from _open_folder()


@pytest.fixture(scope="session")
def opensearch_url(session_folder: Path) -> Iterator[str]:
    """Yield the URL of an OpenSearch that lives for this session, on a free port, with empty data.

    Where it cannot be started the tests fail: a live suite that skips itself would be green.
    """
    server = replace(local_server(port=0, folder=session_folder / "server"), java_options=QUICK_START)
    url = server.start()
    yield url
    server.stop()


@pytest.fixture(scope="session")
def client(opensearch_url: str) -> Iterator[OpenSearch]:
    """Yield a client of that server."""
    with OpenSearch(opensearch_url, timeout=30) as connected:
        yield connected


@pytest.fixture
def index_name(client: OpenSearch) -> Iterator[str]:
    """Yield an index name that nothing else uses; the index, if the test makes it, is deleted afterwards."""
    name = f"test-{uuid.uuid4().hex}"
    yield name
    client.indices.delete(index=name, ignore_unavailable=True)


def _open_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="twinrank-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
