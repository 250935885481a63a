"""Vectors of a `knn_vector` field, on OpenSearch 2.19.1 and 3.5.0 with the k-NN plugin."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from opensearchpy import OpenSearch, helpers

from opensearch.fields.stored_vectors import decode
from plugin.commands.main import main
from plugin.harness.proxy_process import running_proxy
from reranker.bundle import Bundle
from reranker.stored_vector import unpack
from tests.native.assembled import assembled_server as build_2_19
from tests.native.knn import knn_server as build_3_5
from tests.support.http.raw_http import RawAnswer, ask, ids, search
from tests.support.indices.toy_index import ToyIndex, make_toy_index
from tests.support.java_options import QUICK_START
from tests.support.paths import TINY_BUNDLE
from tests.support.searches.several_searches import items, lines, msearch
from tests.support.waiting import until

pytestmark = pytest.mark.live

SERVERS = {"2.19.1": build_2_19, "3.5.0": build_3_5}
BARE = 3
"""Every so many documents have no vector."""


@dataclass(frozen=True)
class Vectors:
    """An index `own` with vectors in `embedding`, its copy `toy` with stored ones, and a proxy."""

    client: OpenSearch
    url: str
    proxy_url: str
    toy: ToyIndex
    name: str = "own"

    def twinrank(self, *arguments: str) -> Result:
        """Run a command on the server."""
        has_none = arguments[0] in ("disable", "migrate", "native")
        bundle = () if has_none else ("--bundle", str(TINY_BUNDLE))
        return CliRunner().invoke(main, [*arguments, *bundle, "--upstream", self.url])

    def enable(self, name: str) -> Result:
        """Enable an index by its own vectors, and wait until the proxy has seen that."""
        done = self.twinrank("enable", name, "--vectors-from", "embedding", "--field", "text")
        assert done.exit_code == 0, done.output
        until(lambda: all("applied" in self.search({}, name).rerank_status for _ in range(8)))  # each worker
        return done

    def search(self, body: dict[str, Any], index: str = "") -> RawAnswer:
        """Search through the proxy for the toy query."""
        return search(self.proxy_url, index or self.name, {"query": self.toy.query, **body})


@pytest.fixture(scope="module", params=list(SERVERS))
def vectors(
    request: pytest.FixtureRequest, is_long: bool, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Vectors]:
    if not is_long:
        pytest.skip("the whole native suite runs with make test-native and make test-all")
    folder = Path(tempfile.mkdtemp(prefix="twinrank-knn-"))
    folder.chmod(0o755)
    server = replace(SERVERS[request.param](folder / "server"), java_options=QUICK_START, heap="1g")
    url = server.start()
    with (
        running_proxy(url, tmp_path_factory.mktemp("proxy"), bundle=TINY_BUNDLE) as proxy,
        OpenSearch(url, timeout=60) as client,
    ):
        toy = make_toy_index(client, url, Bundle.open(TINY_BUNDLE), "toy")
        ready = Vectors(client, url, proxy.url, toy)
        fill(ready, ready.name)
        done = ready.enable(ready.name)
        assert "own: embedding is read from `_source`" in done.output
        yield ready
    server.stop()
    shutil.rmtree(folder)


def fill(vectors: Vectors, name: str, *, shards: int = 1, **change: Any) -> None:  # noqa: ANN401
    """Make an index of the toy texts, their vectors in a `knn_vector` as a client of k-NN writes them."""
    knn = {"type": "knn_vector", "dimension": 32, "method": {"name": "hnsw", "engine": "lucene"}, **change}
    vectors.client.indices.create(
        index=name,
        body={
            "settings": {"index.knn": True, "number_of_shards": shards, "number_of_replicas": 0},
            "mappings": {"properties": {"embedding": knn, "text": {"type": "text"}}},
        },
    )
    helpers.bulk(vectors.client, documents(vectors, name), refresh=True)


def documents(vectors: Vectors, name: str) -> Iterator[dict[str, Any]]:
    hits = vectors.toy.first_stage(vectors.toy.num_documents)
    for hit in sorted(hits, key=lambda each: int(each["_id"])):  # ties keep the order of writing
        source = hit["_source"]
        stored = unpack(decode(source["rerank"]["vector"]) or b"")
        has_vector = int(hit["_id"]) % BARE or name != "holes"
        own = {"embedding": (7 * stored.values[0]).tolist()} if has_vector else {}
        yield {
            "_index": name,
            "_id": hit["_id"],
            "_source": {"n": source["n"], "text": source["text"], **own},
        }


SHAPES: list[dict[str, Any]] = [
    {"size": 130},
    {},
    {"_source": False},
    {"_source": {"excludes": ["embedding"]}},
    {"_source": ["n"], "size": 100},
    {"fields": ["n"], "_source": False},
    {"from": 95, "size": 12, "_source": ["n"]},
    {"highlight": {"fields": {"text": {}}}, "_source": ["n"], "size": 5},
    {"collapse": {"field": "n"}, "_source": False},
    {"docvalue_fields": ["n"], "size": 100},
    {"explain": True, "_source": ["n"]},
]


def scores(answer: RawAnswer) -> dict[str, float]:
    """Return ids and fused scores; those of equal texts may change places, since one is stored as int8."""
    assert "window=100; scored=100" in answer.rerank_status, answer.rerank_status
    return {hit["_id"]: hit["_score"] for hit in json.loads(answer.body)["hits"]["hits"]}


TOLERANCE = 0.03
"""Stored vectors are int8, of about length 1; these are float16 of exactly length 1."""

FUSED = {"ext": {"rerank": {"score": "fused"}}}


@pytest.mark.parametrize("shape", SHAPES, ids=json.dumps)
def test_hits_are_scored_as_with_stored_vectors(vectors: Vectors, shape: dict[str, Any]) -> None:
    own, stored = vectors.search(shape | FUSED), vectors.search(shape | FUSED, "toy")
    assert scores(own) == pytest.approx(scores(stored), rel=TOLERANCE)
    for hit, other in zip(*(json.loads(each.body)["hits"]["hits"] for each in (own, stored)), strict=True):
        assert hit.keys() == other.keys()
        assert hit.get("_source", {}).keys() - {"embedding"} == other.get("_source", {}).keys()
        assert hit.get("fields", {}).keys() == other.get("fields", {}).keys()


def test_the_users_field_is_shown_as_without_the_proxy(vectors: Vectors) -> None:
    plain = vectors.client.search(index="own", body={"query": vectors.toy.query, "size": 100})
    shown = {
        hit["_id"]: hit["_source"] for hit in json.loads(vectors.search({"size": 100}).body)["hits"]["hits"]
    }
    assert shown == {hit["_id"]: hit["_source"] for hit in plain["hits"]["hits"]}
    asked = vectors.search({"fields": ["embedding"], "_source": False, "size": 5})
    assert asked.rerank_status.startswith("applied")
    assert all(len(hit["fields"]["embedding"]) == 32 for hit in json.loads(asked.body)["hits"]["hits"])


def test_a_multi_search_reads_them_too(vectors: Vectors) -> None:
    body = {"query": vectors.toy.query, "_source": False, "size": 100, **FUSED}
    answer = msearch(vectors.proxy_url, lines({"index": "own"}, body, {"index": "toy"}, body))
    own, stored = ({hit["_id"]: hit["_score"] for hit in each["hits"]["hits"]} for each in items(answer))
    assert own == pytest.approx(stored, rel=TOLERANCE)


def test_several_shards_name_hits_by_their_ids(vectors: Vectors) -> None:
    fill(vectors, "shards", shards=3)
    vectors.enable("shards")
    highlight: dict[str, Any] = {
        "highlight": {"fields": {"text": {}}}
    }  # costs so much that the page is asked for apart
    whole, split = (vectors.search({"_source": False, **more}, "shards") for more in ({}, highlight))
    assert ids(whole) == ids(split)
    assert all("highlight" in hit for hit in json.loads(split.body)["hits"]["hits"])


def test_a_hit_without_a_vector_is_neutral(vectors: Vectors) -> None:
    fill(vectors, "holes")
    vectors.enable("holes")
    answer = vectors.search({"size": 100, "ext": {"rerank": {"explain": True}}}, "holes")
    hits = json.loads(answer.body)["hits"]["hits"]
    bare = [hit for hit in hits if int(hit["_id"]) % BARE == 0]
    assert f"scored={len(hits) - len(bare)}" in answer.rerank_status
    assert json.loads(vectors.twinrank("status", "holes", "--json").output)["coverage"] < 1


def test_writes_through_the_proxy_are_forwarded(vectors: Vectors) -> None:
    document = {"text": "a text", "embedding": [1.0] * 32}
    put = ask(
        vectors.proxy_url,
        "PUT",
        "/own/_doc/written?refresh=true",
        json.dumps(document).encode(),
        {"Content-Type": "application/json"},
    )
    assert put.status == 201
    assert vectors.client.get(index="own", id="written")["_source"] == document
    vectors.client.delete(index="own", id="written", refresh=True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("sync", "own"),
        ("verify", "own"),
        ("backfill", "own", "--slice", "1/1"),
        ("estimate", "own"),
        ("index", "own", "FILE"),
        ("migrate", "own", "--to", str(TINY_BUNDLE)),
        ("disable", "own", "--strip"),
        ("native", "install", "own", "--sidecar", "http://127.0.0.1:9100"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_what_would_write_vectors_refuses_the_index_by_name(
    vectors: Vectors, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "FILE").write_text('{"text": "a text"}\n')
    before = vectors.client.search(index="own", body={"size": 200, "version": True})["hits"]["hits"]
    done = vectors.twinrank(*(str(tmp_path / each) if each == "FILE" else each for each in arguments))
    assert done.exit_code != 0
    assert "found `vectors: source`" in done.output
    assert vectors.client.search(index="own", body={"size": 200, "version": True})["hits"]["hits"] == before


def test_status_says_whose_the_vectors_are(vectors: Vectors) -> None:
    report = json.loads(vectors.twinrank("status", "own", "--json").output)
    assert (report["coverage"], report["problem"]) == (1.0, None)
    assert report["next"] == "Nothing: every document has a vector. What writes the index keeps them current."


def test_enable_refuses_what_is_not_the_bundles(vectors: Vectors) -> None:
    fill(vectors, "others")
    other = [
        {"_op_type": "update", "_index": "others", "_id": str(n), "doc": {"embedding": [1.0] + [0.0] * 31}}
        for n in range(vectors.toy.num_documents)
    ]
    helpers.bulk(vectors.client, other, refresh=True)
    before = vectors.client.indices.get_mapping(index="others")
    done = vectors.twinrank("enable", "others", "--vectors-from", "embedding", "--field", "text")
    assert done.exit_code != 0
    assert "median cosine of at least 0.95" in done.output
    no_text = vectors.twinrank("enable", "others", "--vectors-from", "embedding", "--field", "title")
    assert "found none among 10 with a vector" in no_text.output
    unnamed = vectors.twinrank("enable", "others", "--vectors-from", "embedding")
    assert "Give --field FIELD. Fields of others with text: text" in unnamed.output
    both = vectors.twinrank("enable", "others", "--vectors-from", "embedding", "--vector-field", "x")
    assert both.exit_code == 2
    assert vectors.client.indices.get_mapping(index="others") == before


def test_enable_refuses_another_dimension_and_another_field(vectors: Vectors) -> None:
    vectors.client.indices.create(
        index="small",
        body={
            "settings": {"index.knn": True},
            "mappings": {"properties": {"v": {"type": "knn_vector", "dimension": 4}, "t": {"type": "text"}}},
        },
    )
    for field, words in (("v", "expected vectors of 32 numbers"), ("t", "found text"), ("w", "found none")):
        done = vectors.twinrank("enable", "small", "--vectors-from", field, "--field", "t")
        assert done.exit_code != 0
        assert words in done.output


def test_the_pipeline_may_say_which_text_it_is(vectors: Vectors) -> None:
    """The processor is neural-search's; only 2.19.1 has that here."""
    processors = vectors.client.nodes.info(metric="ingest")["nodes"].popitem()[1]["ingest"]["processors"]
    if "text_embedding" not in {each["type"] for each in processors}:
        pytest.skip("neural-search is not there")
    pipeline = {"processors": [{"text_embedding": {"model_id": "none", "field_map": {"text": "embedding"}}}]}
    vectors.client.ingest.put_pipeline(id="embed", body=pipeline)
    fill(vectors, "piped")
    vectors.client.indices.put_settings(index="piped", body={"index.default_pipeline": "embed"})
    done = vectors.twinrank("enable", "piped", "--vectors-from", "embedding")
    assert done.exit_code == 0, done.output
    assert "makes of the text in text" in done.output


def test_back_to_vectors_of_twinranks_own(vectors: Vectors) -> None:
    fill(vectors, "back")
    vectors.enable("back")
    back = ("enable", "back", "--vector-field", "rerank.vector", "--set", "vectors=stored")
    assert vectors.twinrank(*back).exit_code == 0
    assert vectors.twinrank("sync", "back").exit_code == 0
    until(lambda: "scored=100" in vectors.search({}, "back").rerank_status)
    found, stored = vectors.search(FUSED, "back"), vectors.search(FUSED, "toy")
    assert scores(found) == pytest.approx(scores(stored), rel=TOLERANCE)
