"""Indices of version 0.1 are searched, checked, repaired and migrated as they are."""

import base64
import json
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from opensearch.client import OpenSearchClient
from opensearch.index import metadata
from opensearch.settings.fusion import FusionSettings
from opensearch.settings.table import ChunkSettings, RerankSettings
from plugin.harness.proxy_process import running_proxy
from reranker.bundle import BUNDLES
from reranker.stored_vector import unpack
from tests.live.compatibility.recorded import (
    Answer,
    Exchange,
    RecordedIndex,
    Recording,
    encode_body,
    read_answer,
)
from tests.live.compatibility.requests import Request, list_requests
from tests.support.http.raw_http import ask
from tests.support.index_command import Command
from tests.support.paths import TINY_BUNDLE
from tests.support.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

FOLDER = Path(__file__).parent / "version_0_1"
DEFAULT = "bge-small-en-v1.5"
LIBRARY = "library"
STALE, MISSING = {"p20", "p120", "emptied"}, {"missing-0", "missing-1", "missing-2"}
OF_ANOTHER_MODEL = {"p200"}
VECTOR_FIELDS = ("vector", "vector_2")

NEAR = 0.05
"""How much two fused values may differ, relative to the larger one, for their hits to change places.

Another processor or version of ONNX Runtime rounds a query's vector differently; on the machine that recorded
the responses, none change places.
"""

LANGUAGE = "skipped; reason=language"
CHANGED = {"cyrillic": LANGUAGE, "russian": LANGUAGE, "russian-latin": LANGUAGE}
"""Searches that version 0.1 reranked and this version rightly leaves to OpenSearch: the model cannot read
them. The value is today's `Rerank-Status`."""


@cache
def recording() -> Recording:
    """Return what version 0.1 left."""
    return Recording.read(FOLDER)


def recorded_index(name: str) -> RecordedIndex:
    return next(each for each in recording().indices if each.name == name)


EXCHANGES = [
    pytest.param(bundle, each, id=f"{bundle}-{each.name}")
    for bundle, exchanges in recording().exchanges.items()
    for each in exchanges
    if each.name not in CHANGED
]


@pytest.fixture(scope="module")
def restored(client: OpenSearch) -> Iterator[None]:
    """Restore all indices under their own names, for tests that change nothing."""
    for index in recording().indices:
        index.restore(client)
    yield
    for index in recording().indices:
        client.indices.delete(index=index.name)


@pytest.fixture
def copy(client: OpenSearch, request: pytest.FixtureRequest) -> Iterator[str]:
    """Restore one index, LIBRARY or the one that the test names, under a new name, to be changed."""
    index = recorded_index(getattr(request, "param", LIBRARY))
    name = index.restore(client, f"test-{uuid.uuid4().hex}")
    yield name
    client.indices.delete(index=name)


@pytest.fixture(scope="module")
def proxies(
    opensearch_url: str, restored: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Yield the URLs of today's proxies, one for each bundle that was recorded."""
    with ExitStack() as running:
        urls = {}
        for bundle in recording().exchanges:
            folder = tmp_path_factory.mktemp("proxy")
            (folder / "settings.json").write_text(json.dumps({"deadline_ms": 10_000}))
            options = ["--workers", "1", "--settings", str(folder / "settings.json")]
            proxy = running_proxy(opensearch_url, folder, bundle=BUNDLES / bundle, arguments=options)
            urls[bundle] = running.enter_context(proxy).url
        yield urls


def send(url: str, exchange: Exchange) -> Answer:
    headers = {"Content-Type": "application/json"}
    got = ask(url, exchange.method, exchange.target, encode_body(exchange.body), headers)
    return read_answer(got.status, got.rerank_status, json.loads(got.body))


def send_until_covered(url: str, exchange: Exchange) -> Answer:
    """Send a request, again if need be: the first search under a name only counts how far it is covered."""
    answers: list[Answer] = []

    def is_covered() -> bool:
        answers.append(send(url, exchange))
        return "reason=coverage" not in answers[-1].rerank_status

    until(is_covered, "a search of a covered index")
    return answers[-1]


def status_parts(line: str) -> set[str]:
    return set(line.split("; "))


def is_near(exchange: Exchange, one: str, other: str) -> bool:
    """Whether two hits' fused values are so near that rounding decides between them."""
    values: Mapping[str, float | None] = exchange.fused or dict(
        zip(exchange.answer.ids, exchange.answer.scores, strict=True)
    )
    first, second = values.get(one), values.get(other)
    if first is None or second is None:
        return False
    return abs(first - second) <= NEAR * max(abs(first), abs(second))


def check_order(exchange: Exchange, found: list[str]) -> None:
    wanted = exchange.answer.ids
    assert len(found) == len(wanted)
    moved = [pair for pair in zip(wanted, found, strict=True) if pair[0] != pair[1]]
    assert all(is_near(exchange, *pair) for pair in moved), moved


def check_scores(exchange: Exchange, found: list[float | None], bm25_factor: float) -> None:
    """Compare scores: those of the first stage closely, those of the model as rounding allows."""
    wanted = exchange.answer.scores
    is_of_model = exchange.name in ("ext-fused", "ext-probability", "ext-cluster")
    assert [score is None for score in found] == [score is None for score in wanted]
    for one, other in zip(found, wanted, strict=True):
        if one is not None and other is not None:
            rel = NEAR if is_of_model else 1e-5
            # A constant score, as of `match_all`, is the same in every version.
            assert one in [pytest.approx(other * factor, rel=rel) for factor in (1.0, bm25_factor)]


@pytest.fixture(scope="module")
def bm25_factor(client: OpenSearch) -> float:
    """Return what this OpenSearch multiplies BM25's scores by: 2.x has k1 + 1 in them, 3.x has not."""
    return 2.2 if client.info()["version"]["number"].startswith("2.") else 1.0


@pytest.mark.parametrize(("bundle", "exchange"), EXCHANGES)
def test_a_search_gets_the_recorded_response(
    bundle: str, exchange: Exchange, proxies: dict[str, str], bm25_factor: float
) -> None:
    found, wanted = send_until_covered(proxies[bundle], exchange), exchange.answer
    assert found.status == wanted.status
    assert status_parts(wanted.rerank_status) <= status_parts(found.rerank_status)
    assert found.total == wanted.total
    check_order(exchange, found.ids)
    check_scores(exchange, found.scores, bm25_factor)


@pytest.mark.parametrize("name", CHANGED)
def test_a_search_that_the_model_cannot_read_is_opensearchs_own(
    name: str, proxies: dict[str, str], opensearch_url: str
) -> None:
    exchange = next(each for each in recording().exchanges[DEFAULT] if each.name == name)
    found, own = send_until_covered(proxies[DEFAULT], exchange), send(opensearch_url, exchange)
    assert "applied" in exchange.answer.rerank_status
    assert found.rerank_status == CHANGED[name]
    assert (found.ids, found.scores, found.total) == (own.ids, own.scores, own.total)
    assert own.total == exchange.answer.total


def test_settings_read_as_they_were_written(opensearch_url: str, restored: None) -> None:
    fields = ("title", "body", "about.tags")
    upstream = OpenSearchClient(opensearch_url)
    assert metadata.find_indices(upstream, LIBRARY)[0].rerank_settings() == RerankSettings(
        model=DEFAULT,
        source_fields=fields,
        window_size=60,
        min_coverage=0.5,
        fusion=FusionSettings(weight=7.5),
        chunk=ChunkSettings(max_tokens=64, overlap=8, max_chunks=6),
        deadline_ms=10_000,
    )
    plain = metadata.find_indices(upstream, "library-plain")[0].rerank_settings()
    assert plain == RerankSettings(model=DEFAULT, source_fields=fields)


@pytest.mark.parametrize("index", recording().reports["settings"])
def test_settings_have_the_recorded_values_and_origins(
    index: str, opensearch_url: str, restored: None
) -> None:
    done = Command(opensearch_url, index)("settings", "--json")
    found, wanted = json.loads(done.stdout)[index], recording().reports["settings"][index][index]
    assert found["problems"] == wanted["problems"] == []
    for name, value in wanted["settings"].items():
        # A value that the bundle decides was null; today the bundle's own is shown.
        if value["value"] is not None:
            assert (name, found["settings"][name]) == (name, value)


@pytest.mark.parametrize("index", [LIBRARY, "library-plain", "library-moving", "library-moved"])
def test_status_and_verify_count_as_they_did(index: str, opensearch_url: str, restored: None) -> None:
    command = Command(opensearch_url, index, BUNDLES / DEFAULT)
    status, audit = (
        json.loads(command("status", "--json").stdout),
        json.loads(command("verify", "--json").stdout),
    )
    recorded = recording().reports
    for name, value in recorded["status"][index].items():
        if isinstance(value, int | float | bool):
            assert (name, status[name]) == (name, value)
    assert audit[index] == recorded["verify"][index][index]


def test_verify_names_what_is_stale_missing_and_of_another_model(opensearch_url: str, restored: None) -> None:
    done = Command(opensearch_url, LIBRARY, BUNDLES / DEFAULT)("verify", "--json")
    samples = json.loads(done.stdout)[LIBRARY]["samples"]
    assert done.returncode == 1
    found = {worth: set(ids) for worth, ids in samples.items()}
    assert found == {"stale": STALE, "absent": MISSING, "foreign": OF_ANOTHER_MODEL}


def test_sync_repairs_what_is_not_current_and_writes_nothing_else(
    opensearch_url: str, client: OpenSearch, copy: str
) -> None:
    before = read_documents(client, copy)
    command = Command(opensearch_url, copy, BUNDLES / DEFAULT)
    done = command("sync", "--json")
    assert done.returncode == 0, done.stderr
    client.indices.refresh(index=copy)
    after = read_documents(client, copy)
    written = {name for name, hit in after.items() if hit["_version"] > 1}
    assert written == STALE | MISSING | OF_ANOTHER_MODEL
    assert all(after[name] == before[name] for name in before.keys() - written)
    assert all(without_vectors(after[name]) == without_vectors(before[name]) for name in before)
    assert {name for name in written if "rerank" not in after[name]["_source"]} == {"emptied"}
    audit = json.loads(command("verify", "--json").stdout)[copy]
    assert (audit["documents"], audit["samples"]) == (len(before), {})
    again = json.loads(command("sync", "--json").stdout)
    assert (again["written"], again["rejected"]) == (0, 0)


def test_it_migrates_to_another_model_and_back(opensearch_url: str, client: OpenSearch, copy: str) -> None:
    before, command = read_documents(client, copy), Command(opensearch_url, copy)
    own = {name: hit for name, hit in before.items() if name not in STALE | MISSING | OF_ANOTHER_MODEL}
    migrate(command, "fill", "--to", str(TINY_BUNDLE))
    migrate(command, "cutover", "--to", str(TINY_BUNDLE))
    assert read_settings(opensearch_url, copy).model == "tiny"
    audit = json.loads(command("verify", "--json").stdout)[copy]
    assert audit["samples"] == {}
    migrate(command, "rollback")
    assert read_settings(opensearch_url, copy).model == DEFAULT
    migrate(command, "cleanup")
    client.indices.refresh(index=copy)
    after = read_documents(client, copy)
    assert {name: after[name]["_source"] for name in own} == {
        name: hit["_source"] for name, hit in own.items()
    }
    recorded = recorded_index(LIBRARY).mapping["_meta"]["rerank"]
    assert client.indices.get_mapping(index=copy)[copy]["mappings"]["_meta"]["rerank"] == recorded


@pytest.mark.parametrize("copy", ["library-moving"], indirect=True)
def test_a_migration_that_0_1_began_is_finished(opensearch_url: str, client: OpenSearch, copy: str) -> None:
    command = Command(opensearch_url, copy)
    migrate(command, "cutover", "--to", str(TINY_BUNDLE))
    migrate(command, "cleanup")
    settings = read_settings(opensearch_url, copy)
    assert (settings.model, settings.field, settings.second) == ("tiny", "rerank.vector_2", None)
    client.indices.refresh(index=copy)
    left = {
        field for hit in read_documents(client, copy).values() for field in hit["_source"].get("rerank", {})
    }
    assert left == {"vector_2"}


@pytest.mark.parametrize("copy", ["library-moved"], indirect=True)
def test_a_cut_over_that_0_1_made_is_rolled_back(opensearch_url: str, client: OpenSearch, copy: str) -> None:
    command = Command(opensearch_url, copy)
    migrate(command, "rollback")
    migrate(command, "cleanup")
    settings = read_settings(opensearch_url, copy)
    assert (settings.model, settings.field, settings.second) == (DEFAULT, "rerank.vector", None)
    client.indices.refresh(index=copy)
    plain = {each.id: each.source for each in recorded_index("library-plain").documents}
    assert {name: hit["_source"] for name, hit in read_documents(client, copy).items()} == plain


def test_disable_strips_the_vectors_and_nothing_else(
    opensearch_url: str, client: OpenSearch, copy: str
) -> None:
    before = read_documents(client, copy)
    done = Command(opensearch_url, copy).run("disable", "--strip")
    assert done.returncode == 0, done.stderr
    client.indices.refresh(index=copy)
    after = read_documents(client, copy)
    assert not any("rerank" in hit["_source"] for hit in after.values())
    assert all(without_vectors(after[name]) == without_vectors(before[name]) for name in before)
    assert not read_settings(opensearch_url, copy).enabled


def test_the_recording_is_small() -> None:
    files = sorted(FOLDER.iterdir())
    assert [file.name for file in files] == ["answers.json.gz", "indices.json.gz"]
    assert sum(file.stat().st_size for file in files) <= 600_000


def test_the_recording_holds_documents_of_every_form() -> None:
    sources = {each.id: each.source for each in recorded_index(LIBRARY).documents}
    vectors = {
        name: unpack(base64.b64decode(source["rerank"]["vector"]))
        for name, source in sources.items()
        if "rerank" in source
    }
    assert sources.keys() - vectors.keys() - {"no-text", "empty"} == MISSING
    assert len(vectors["long"].values) == 6
    assert [len(sources[name]["body"]) for name in ("several-1", "several-2")] == [3, 3]
    tags = Counter(vector.model_tag for vector in vectors.values())
    assert len(tags) == 2
    assert min(tags.values()) == len(OF_ANOTHER_MODEL)


def test_the_recording_is_of_todays_requests() -> None:
    wanted = list_requests()
    for exchanges in recording().exchanges.values():
        assert [Request(each.name, each.method, each.target, each.body) for each in exchanges] == wanted


def test_the_recording_is_of_reranked_searches() -> None:
    """The fused values that decide near ties are in the order of the hits."""
    applied = [
        each
        for exchanges in recording().exchanges.values()
        for each in exchanges
        if each.fused and each.name != "several"  # whose two indices have documents of the same ids
    ]
    assert len(applied) > 100
    for exchange in applied:
        values = list(exchange.fused.values())
        assert values == sorted(values, reverse=True), exchange.name


def migrate(command: Command, *arguments: str) -> None:
    done = command.run("migrate", *arguments)
    assert done.returncode == 0, (arguments, done.stderr, done.stdout)


def read_settings(url: str, index: str) -> RerankSettings:
    return metadata.find_indices(OpenSearchClient(url), index)[0].rerank_settings()


def read_documents(client: OpenSearch, index: str) -> dict[str, Any]:
    """Return all hits of an index, with version and sequence number, by id."""
    found = client.search(
        index=index, body={"size": 1_000, "version": True, "seq_no_primary_term": True, "sort": "_doc"}
    )
    keys = ("_version", "_seq_no", "_source")
    return {hit["_id"]: {key: hit[key] for key in keys} for hit in found["hits"]["hits"]}


def without_vectors(hit: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in hit["_source"].items() if key != "rerank"}
