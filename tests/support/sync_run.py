"""A sync in this process, and what stands in an index afterwards."""

import uuid
from collections.abc import Callable
from typing import Any

from opensearchpy import OpenSearch

from indexer.sync.lease import Leases
from indexer.sync.runner import Sync, SyncScope
from indexer.sync.shard_pass import Run
from indexer.sync.summary import SyncSummary
from indexer.vector_fields import FieldPolicy
from opensearch.changes.checkpoints import Checkpoints
from opensearch.client import OpenSearchClient
from opensearch.index.metadata import Index
from opensearch.retry import RetryPolicy
from plugin.commands.field_policies import build_field_policies
from reranker.bundle import Bundle
from tests.support.indices.toy_index import index_body
from tests.support.paths import TINY_BUNDLE

BUNDLE = Bundle.open(TINY_BUNDLE)


def make_index(
    client: OpenSearch, name: str, *, shards: int = 2, refresh: str = "-1", **settings: object
) -> None:
    """Make an index with our field and settings and no documents; `settings` are of `_meta.rerank`."""
    body = index_body(BUNDLE, **settings)
    body["settings"] |= {"number_of_shards": shards, "refresh_interval": refresh}
    client.indices.create(index=name, body=body)


def tiny_policies(bundle: Bundle = BUNDLE) -> Callable[[Index], list[FieldPolicy]]:
    """Return what sees to the fields of an index, with the tiny bundle."""
    encode = bundle.load_document_encoder(threads=1)
    return lambda index: build_field_policies(index, bundle, encode)


def make_sync(url: str, wanted: SyncScope, *, lease_s: float = 30.0, run: Run | None = None) -> Sync:
    """Return a sync with a name of its own, not begun."""
    run = run or Run(OpenSearchClient(url), retry_policy=RetryPolicy(total_s=20.0))
    checkpoints = Checkpoints(run.upstream)
    checkpoints.ensure()
    leases = Leases(checkpoints, uuid.uuid4().hex, lease_s, run.retry_policy)
    return Sync(run, leases, wanted, tiny_policies())


def synced(url: str, name: str, **wanted: Any) -> SyncSummary:  # noqa: ANN401  # of Wanted
    """Sync once and return what was done."""
    sync = make_sync(url, SyncScope(name, **wanted))
    sync.run_once()
    return sync.run.summary


def with_vector(client: OpenSearch, index: str) -> int:
    client.indices.refresh(index=index)
    count: int = client.count(index=index, body={"query": {"exists": {"field": "rerank.vector"}}})["count"]
    return count
