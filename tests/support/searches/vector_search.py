"""Pages of a vector search through the proxy, compared with OpenSearch's own list."""

import itertools

from tests.support.http.raw_http import ids, search
from tests.support.indices.hybrid_index import HybridIndex

EVERYTHING = 500
"""More hits than any list has."""


def is_in_order(order: list[str], fused: dict[str, float]) -> bool:
    """Whether values fall, but for pairs that differ by less than float32 tells apart."""
    values = [fused[each] for each in order]
    return all(after <= before + 1e-5 for before, after in itertools.pairwise(values))


def check_vector_search(index: HybridIndex, proxy_url: str) -> None:
    """Check the pages of a `knn` query through the proxy, whose text is named in `ext`."""
    hits, window = index.hits({"query": index.knn, "size": EVERYTHING}), 50
    straight = [hit["_id"] for hit in hits]
    context = {"query_context": {"query_text": index.query_text}, "window_size": window}
    found: list[str] = []
    for start in range(0, len(straight), 20):
        body = {"query": index.knn, "from": start, "size": 20, "ext": {"rerank": context}}
        answer = search(proxy_url, index.name, body)
        expected = f"applied; window={window}; " if start < window else "skipped; reason=beyond_window"
        assert answer.rerank_status.startswith(expected), answer.rerank_status
        found += ids(answer)
    assert sorted(found[:window]) == sorted(straight[:window])
    assert found[window:] == straight[window:]
    assert is_in_order(found[:window], index.fuse(hits[:window], None))
    silent = search(proxy_url, index.name, {"query": index.knn})
    assert silent.rerank_status == "skipped; reason=query_text"
