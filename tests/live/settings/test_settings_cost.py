"""What following the settings costs: nothing to a search, little to OpenSearch, however many indices."""

import time
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from statistics import median

import msgspec
import pytest
from opensearchpy import OpenSearch

from opensearch.settings.target import IndexRecord
from plugin.http.messages import Request
from plugin.settings.cache import SettingsCache
from plugin.settings.cluster_view import ClusterRecords
from plugin.settings.poller import SettingsPoller
from tests.support.http.counted_upstream import CountingUpstream
from tests.support.indices.settings_index import body
from tests.support.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
LOOKUPS = 2_000
FIELDS = 60
"""Fields of each index's mapping: about 3 KB."""


@pytest.fixture
def request_of_nobody() -> Request:
    return Request("POST", "/x/_search", (), BytesIO(), 0)


def shared_file(folder: Path, num_indices: int) -> bytes:
    """Write what a poller shares of so many indices, each with settings and an alias."""
    rerank = {"model": "m", "source_fields": ["title", "text"], "fusion": {"weight": 7}}
    records = {
        f"index-{n}": IndexRecord(rerank=rerank, created_ms=n, groups=(f"alias-{n % 50}",))
        for n in range(num_indices)
    }
    content = msgspec.json.encode(ClusterRecords("state", records))
    (folder / "settings.json").write_bytes(content)
    return content


def lookups_us(cache: SettingsCache, request: Request, names: list[str]) -> float:
    """Return the median of one lookup, in microseconds."""
    took = []
    for n in range(LOOKUPS):
        began = time.perf_counter()
        cache.find_target(request, names[n % len(names)], {})
        took.append((time.perf_counter() - began) * 1e6)
    return median(took)


def test_a_lookup_asks_nothing_and_takes_as_long_with_5000_indices_as_with_5(
    opensearch_url: str,
    tmp_path: Path,
    request_of_nobody: Request,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("plugin.settings.poller.STALE_S", float("inf"))  # a busy machine takes long
    lines = []
    for num_indices in (5, 5_000):
        folder = tmp_path / str(num_indices)
        folder.mkdir()
        content = shared_file(folder, num_indices)
        with closing(CountingUpstream(opensearch_url)) as upstream:
            poller = SettingsPoller(upstream, (), folder, {})
            cache = SettingsCache(upstream, poller)
            began = time.perf_counter()
            poller.write_heartbeat()
            loaded_ms = (time.perf_counter() - began) * 1000
            names = [f"index-{n % num_indices}" for n in range(LOOKUPS)]
            first_us = lookups_us(cache, request_of_nobody, names)
            took_us = lookups_us(cache, request_of_nobody, names)
            assert cache.find_target(request_of_nobody, "index-3,alias-4", {}).is_ours
            assert upstream.asked == [], "a search waited for OpenSearch"
        lines.append(
            f"{num_indices} indices: a lookup {took_us:.1f} us, of an index not asked for before"
            f" {first_us:.1f} us; a changed file ({len(content) / 1e3:.0f} kB)"
            f" is read in {loaded_ms:.1f} ms, beside the searches"
        )
    with capsys.disabled():
        print("", *lines, sep="\n")  # noqa: T201


@pytest.fixture
def many_indices(client: OpenSearch, is_long: bool) -> Iterator[int]:
    """Make real indices with mappings of a few kilobytes: 300, or 10 in the short form."""
    count = 300 if is_long else 10
    fields = {f"field_{n}": {"type": "text", "analyzer": "standard"} for n in range(FIELDS)}
    made = body(settings={"number_of_shards": 1, "number_of_replicas": 0})
    made["mappings"]["properties"] = {**made["mappings"]["properties"], **fields}
    for n in range(count):
        client.indices.create(index=f"many-{n}", body=made, params={"wait_for_active_shards": "0"})
    yield count
    for start in range(0, count, 50):
        names = ",".join(f"many-{n}" for n in range(start, min(start + 50, count)))
        client.indices.delete(index=names)


def test_what_polling_costs_opensearch(
    opensearch_url: str, many_indices: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(CountingUpstream(opensearch_url)) as upstream:
        poller = SettingsPoller(upstream, (), tmp_path, {})
        poller.start()
        until(lambda: poller.view() is not None, "a view")
        began = time.perf_counter()
        upstream.exchange("GET", "/_cluster/state/version", ())
        state_ms = (time.perf_counter() - began) * 1000
        view = poller.view()
        poller.stop()
    assert view is not None
    assert all(view.find_target(f"many-{n}") is not None for n in range(many_indices))
    assert poller.last_read_ms is not None
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{many_indices} real indices: all settings read in {poller.last_read_ms:.0f} ms, on a change;"
            f" the state's version in {state_ms:.1f} ms, once a second"
        )
