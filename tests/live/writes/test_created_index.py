"""An index that a write through the proxy makes from a template: searches know it at once."""

from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import running_proxy
from reranker.bundle import Bundle
from tests.support.indices.toy_index import index_body
from tests.support.indices.write_checks import send
from tests.support.paths import TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]


def test_an_index_that_a_write_makes_is_reranked_at_once(
    client: OpenSearch, opensearch_url: str, tmp_path: Path
) -> None:
    """What was known of a name before, or of a pattern, holds no more; nor is our field shown meanwhile."""
    template = {"index_patterns": ["sudden-*"], "template": index_body(Bundle.open(TINY_BUNDLE))}
    query = {"query": {"match": {"text": "first"}}}
    with running_proxy(opensearch_url, tmp_path, bundle=TINY_BUNDLE, arguments=["--workers", "1"]) as proxy:
        send(proxy.url, "POST", "/sudden-*/_search", query)
        client.indices.put_index_template(name="sudden", body=template)
        try:
            assert send(proxy.url, "PUT", "/sudden-1/_doc/1?refresh=true", {"text": "first"}).status == 201
            for name in ("sudden-1", "sudden-*"):
                found = send(proxy.url, "POST", f"/{name}/_search", query)
                assert found.rerank_status.startswith("applied; "), name
                assert b'"vector"' not in found.body
        finally:
            client.indices.delete(index="sudden-1", ignore_unavailable=True)
            client.indices.delete_index_template(name="sudden")
