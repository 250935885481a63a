"""The indices behind a point in time, read from the ids that a real OpenSearch gives."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opensearchpy import OpenSearch

from opensearch.search.point_in_time import read_indices

pytestmark = pytest.mark.opensearch_2_19


@pytest.mark.live
@pytest.mark.parametrize("shards", [1, 5])
def test_ids_of_a_real_server(client: OpenSearch, index_name: str, shards: int) -> None:
    other, alias = f"{index_name}-b", f"{index_name}-alias"
    for name in (index_name, other):
        client.indices.create(index=name, body={
            "settings": {"number_of_shards": shards, "number_of_replicas": 0},
            "aliases": {alias: {"filter": {"term": {"n": 1}}}},
        })  # fmt: skip
    for target, wanted in ((index_name, {index_name}), (alias, {index_name, other})):
        pit = client.create_pit(index=target, params={"keep_alive": "1m"})["pit_id"]
        found = read_indices({"id": pit, "keep_alive": "1m"})
        client.delete_pit(body={"pit_id": [pit]})
        assert found is not None
        assert set(found.split(",")) == wanted
    client.indices.delete(index=other)


@pytest.mark.parametrize(
    "pit", [None, 5, "id", {}, {"id": 5}, {"id": ""}, {"id": "no base64 !"}, {"id": "QUJD"}]
)
def test_what_is_no_point_in_time(pit: object) -> None:
    assert read_indices(pit) is None


@given(st.binary(max_size=200))
def test_no_bytes_fail(data: bytes) -> None:
    found = read_indices(json.loads(json.dumps({"id": base64.urlsafe_b64encode(data).decode()})))
    assert found is None or isinstance(found, str)
