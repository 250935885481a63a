"""The crossing on a real OpenSearch against the same in numpy, hit by hit, for sound and damaged vectors."""

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch, helpers

from opensearch.fields.stored_vectors import encode
from opensearch.search.cluster_rescore import build_cluster_rescore, script_source
from reranker.crossing import Cosine
from reranker.integer_query import quantise_query
from reranker.stored_vector import HEADER, ValueType, pack
from reranker.window_vectors import score_vectors

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

DIM, TAG, FOREIGN_TAG = 12, 0xFEDCBA98, 0x0BADCAFE
WEIGHT, NEUTRAL = 8.0, 0.31
FIELD = "rerank.vector"
VECTOR = {"rerank": {"properties": {"vector": {"type": "binary", "doc_values": True}}}}


def unit(*shape: int, seed: int = 11) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(*shape, DIM))
    vectors: np.ndarray = (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)
    return vectors


QUERY = unit()


def packed(chunks: int = 1, kind: ValueType = ValueType.INT8, tag: int = TAG, seed: int = 5) -> bytes:
    return pack(unit(chunks, seed=seed), text_hash=7, model_tag=tag, value_type=kind)


def patched(value: bytes, at: int, new: bytes) -> bytes:
    return value[:at] + new + value[at + len(new) :]


NAMED: dict[str, bytes] = {
    "one chunk": packed(),
    "four chunks": packed(4),
    "fifty chunks": packed(50),
    "float16": packed(kind=ValueType.FLOAT16),
    "float16, three chunks": packed(3, ValueType.FLOAT16),
    "float16, subnormal": pack(
        unit(1) * np.float32(1e-6), text_hash=1, model_tag=TAG, value_type=ValueType.FLOAT16
    ),
    "the query itself": pack(QUERY[None], text_hash=1, model_tag=TAG),
    "zero": pack(np.zeros((1, DIM), np.float32), text_hash=1, model_tag=TAG),
    "foreign tag": packed(tag=FOREIGN_TAG),
    "other dim": pack(unit(2).reshape(1, 2 * DIM), text_hash=1, model_tag=TAG),
    "version 2": patched(packed(), 0, b"\2"),
    "type 3": patched(packed(), 1, b"\3"),
    "type says float16": patched(packed(), 1, b"\2"),
    "dim one less": patched(packed(), 2, (DIM - 1).to_bytes(2, "little")),
    "no chunk": patched(packed(), 4, b"\0\0"),
    "one chunk too many": patched(packed(), 4, b"\2\0"),
    "65535 chunks": patched(packed(), 4, b"\xff\xff"),
    "no zero": patched(packed(), 6, b"\0\1"),
    "scale NaN": patched(packed(), 20, np.float32("nan").tobytes()),
    "scale infinite": patched(packed(), 20, np.float32("inf").tobytes()),
    "scale negative": patched(packed(), 20, np.float32(-0.01).tobytes()),
    "scale of the second chunk too large": patched(packed(2), 24, np.float32(516).tobytes()),
    "float16 infinite": patched(packed(kind=ValueType.FLOAT16), 20, np.float16("inf").tobytes()),
    "float16 NaN": patched(packed(2, ValueType.FLOAT16), 44, np.float16("nan").tobytes()),
    "header alone": packed()[: HEADER.size],
    "one byte": b"\1",
    "one byte short": packed()[:-1],
    "one byte too long": packed() + b"\0",
}


def damaged(seed: int) -> bytes:
    """Return a stored vector with a few bytes changed, cut off or added, most of them in the header."""
    chosen = random.Random(seed)
    value = bytearray(packed(chosen.randint(1, 3), chosen.choice(tuple(ValueType)), seed=seed))
    for _ in range(chosen.randint(1, 3)):
        value[chosen.randrange(chosen.choice((24, len(value))))] = chosen.randrange(256)
    cut = chosen.choice((0, 0, 0, 1, 5, len(value) - 1))
    return bytes(value[: len(value) - cut]) + bytes(chosen.choice((0, 0, 0, 3)))


def clause(window_size: int = 1000, vector: np.ndarray = QUERY, **changed: Any) -> dict[str, Any]:  # noqa: ANN401
    integers = quantise_query(vector)
    said: dict[str, Any] = {"model_tag": TAG, "weight": WEIGHT, "neutral": NEUTRAL, "field": FIELD}
    said |= {"query": integers.values, "scale": integers.scale, "window_size": window_size}
    return build_cluster_rescore(**(said | changed))


def factors(client: OpenSearch, index: str, rescore: Any) -> dict[str, float]:  # noqa: ANN401
    """Return each hit's score where the first stage gave all of them 1."""
    body = {"query": {"constant_score": {"filter": {"match_all": {}}}}, "size": 1000, "rescore": rescore}
    found = client.search(index=index, body=body, params={"allow_partial_search_results": "false"})
    return {hit["_id"]: hit["_score"] for hit in found["hits"]["hits"]}


def expected(values: Sequence[bytes | None]) -> np.ndarray:
    """The same in numpy: what the proxy's own crossing gives, and neutral where it gives none."""
    integers = quantise_query(QUERY)
    query = (np.frombuffer(integers.values, "<i2") * integers.scale).astype(np.float32)
    scores = score_vectors(query, values, Cosine(1.0, 0.0), TAG).astype(np.float64)
    crossing = np.where(np.isnan(scores), NEUTRAL, scores).clip(-1, 1.01)
    return np.exp(WEIGHT * (1 + crossing))


@pytest.fixture(scope="module")
def index(client: OpenSearch) -> Iterator[str]:
    """An index with all of them, over two shards."""
    name = "cluster-rescore"
    body = {"settings": {"number_of_shards": 2, "number_of_replicas": 0}, "mappings": {"properties": VECTOR}}
    client.indices.create(index=name, body=body)
    values = {**NAMED, **{f"damaged {seed}": damaged(seed) for seed in range(400)}}
    documents: dict[str, Any] = {key: {"rerank": {"vector": encode(value)}} for key, value in values.items()}
    two = [encode(NAMED["one chunk"]), encode(NAMED["four chunks"])]
    documents |= {
        "missing": {"text": "x"},
        "null": {"rerank": None},
        "two values": {"rerank": {"vector": two}},
    }
    helpers.bulk(
        client,
        ({"_index": name, "_id": key, "_source": each} for key, each in documents.items()),
        refresh=True,
    )
    yield name
    client.indices.delete(index=name)


def test_every_named_factor_is_numpys(client: OpenSearch, index: str) -> None:
    found = factors(client, index, clause())
    wanted = dict(zip(NAMED, expected(list(NAMED.values())), strict=True))
    assert {key: found[key] for key in NAMED} == {key: pytest.approx(wanted[key], rel=1e-5) for key in NAMED}


def test_every_damaged_vector_has_numpys_factor(client: OpenSearch, index: str) -> None:
    found = factors(client, index, clause())
    values = [damaged(seed) for seed in range(400)]
    wanted = expected(values)
    usable = ~np.isnan(score_vectors(QUERY, values, Cosine(1.0, 0.0), TAG))
    assert 40 < usable.sum() < 360, "both kinds are among them"
    got = np.array([found[f"damaged {seed}"] for seed in range(400)])
    np.testing.assert_allclose(got, wanted, rtol=2e-5)


@pytest.mark.parametrize("key", ["missing", "null", "two values"])
def test_no_single_vector_is_neutral(client: OpenSearch, index: str, key: str) -> None:
    assert factors(client, index, clause())[key] == pytest.approx(np.exp(WEIGHT * (1 + NEUTRAL)), rel=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.7, 40.0])
def test_no_weight_gives_less_than_one_or_more_than_float32(
    client: OpenSearch, index: str, weight: float
) -> None:
    found = list(factors(client, index, clause(weight=weight)).values())
    assert len(found) > 400
    assert min(found) >= 1.0
    assert max(found) < 1e35


@pytest.mark.parametrize("mapping", [
    {},
    {"rerank": {"properties": {"vector": {"type": "binary"}}}},
    {"rerank": {"properties": {"vector": {"type": "text"}}}},
    {"rerank": {"properties": {"vector": {"type": "keyword"}}}},
    {"rerank": {"properties": {"vector": {"type": "object"}}}},
    {"rerank": {"type": "long"}},
], ids=json.dumps)  # fmt: skip
def test_a_field_that_is_no_vector_field_is_neutral(
    client: OpenSearch, index_name: str, mapping: dict[str, Any]
) -> None:
    settings = {"number_of_shards": 1, "number_of_replicas": 0}
    client.indices.create(index=index_name, body={"settings": settings, "mappings": {"properties": mapping}})
    vector = mapping.get("rerank", {}).get("properties", {}).get("vector", {}).get("type")
    held = {"rerank": {"vector": encode(packed())}} if vector in ("binary", "text", "keyword") else {}
    client.index(index=index_name, id="1", body=held, refresh=True)
    neutral = pytest.approx(np.exp(WEIGHT * (1 + NEUTRAL)), rel=1e-6)
    assert factors(client, index_name, clause()) == {"1": neutral}


def test_numbers_that_became_doubles_on_their_way_change_nothing(client: OpenSearch, index: str) -> None:
    """ml-commons reads an answer's numbers as doubles."""
    rescore = clause()
    params = rescore["query"]["rescore_query"]["script_score"]["script"]["params"]
    params["tag"] = float(params["tag"])
    assert factors(client, index, rescore) == factors(client, index, clause())


def test_all_queries_share_one_compiled_script(client: OpenSearch, index: str) -> None:
    def compilations() -> int:
        nodes = client.nodes.stats(metric="script")["nodes"]
        return sum(node["script"]["compilations"] for node in nodes.values())

    factors(client, index, clause())
    before = compilations()
    for weight in range(10):
        factors(
            client,
            index,
            clause(vector=unit(seed=weight), weight=weight, neutral=weight / 20, window_size=10 + weight),
        )
    assert compilations() == before


def test_the_script_is_sent_without_its_comments() -> None:
    source = script_source()
    assert "//" not in source
    assert len(source) < 3500


@pytest.mark.parametrize("wrong", [
    {"query": b""}, {"query": b"\0\0\0"}, {"scale": float("nan")}, {"scale": -1.0}, {"model_tag": -1},
    {"model_tag": 1 << 32}, {"weight": 40.5}, {"weight": -0.1}, {"neutral": 1.5}, {"neutral": float("nan")},
    {"window_size": 0},
], ids=str)  # fmt: skip
def test_what_the_script_cannot_use_is_refused_here(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected .*, found"):
        clause(**wrong)
