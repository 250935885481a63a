"""Vector search as first stage on OpenSearch 3.5.0 with its k-NN plugin."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import running_proxy
from reranker.bundle import Bundle
from tests.native.knn import knn_server
from tests.support.indices.hybrid_index import make_hybrid_index
from tests.support.java_options import QUICK_START
from tests.support.paths import TINY_BUNDLE
from tests.support.searches.vector_search import check_vector_search

pytestmark = pytest.mark.live


@pytest.fixture
def knn_url(is_long: bool) -> Iterator[str]:
    """Yield the URL of the server."""
    if not is_long:
        pytest.skip("vector search on 3.5.0 runs with make test-native and make test-all")
    folder = Path(tempfile.mkdtemp(prefix="twinrank-knn-"))
    folder.chmod(0o755)
    server = replace(knn_server(folder / "server"), java_options=QUICK_START)
    yield server.start()
    server.stop()
    shutil.rmtree(folder)


def test_a_vector_search_alone_is_a_first_stage(knn_url: str, tmp_path: Path) -> None:
    bundle = Bundle.open(TINY_BUNDLE)
    with (
        running_proxy(knn_url, tmp_path, bundle=TINY_BUNDLE) as proxy,
        OpenSearch(knn_url, timeout=60) as client,
    ):
        check_vector_search(make_hybrid_index(client, bundle, "vectors", num_shards=3), proxy.url)
