"""`ext` keys that ml-commons knows, through the proxy on OpenSearch 2.19.1."""

from typing import Any

import pytest

from tests.native.conftest import Native
from tests.support.http.raw_http import RawAnswer, ids, search

pytestmark = pytest.mark.live

QUESTION = {"generative_qa_parameters": {"llm_model": "a-model", "llm_question": "how to wait?"}}
CLUSTER: dict[str, Any] = {"rerank": {"execution": "cluster"}}


def asked(native: Native, ext: dict[str, Any], url: str = "", **more: Any) -> RawAnswer:  # noqa: ANN401
    return search(url or native.proxy_url, native.toy.name, {"query": native.toy.query, "ext": ext, **more})


@pytest.mark.parametrize("extra", [{}, {"highlight": {"fields": {"text": {}}}}], ids=["plain", "highlight"])
def test_the_parameters_of_a_pipeline_are_forwarded_in_one_request(
    native: Native, extra: dict[str, Any]
) -> None:
    answer = asked(native, {"ml_inference": {"query_text": "how to wait"}}, **extra)
    assert answer.rerank_status.startswith("applied; window=100; scored=100;")
    assert ids(answer) == native.toy.expected_order()[:10]
    assert "fetch;dur" not in answer.headers["server-timing"]


def test_an_answer_is_not_written_from_a_window(native: Native) -> None:
    answer = asked(native, QUESTION)
    assert (answer.status, answer.rerank_status) == (200, "skipped; reason=generative_qa_parameters")
    assert ids(answer) == ids(asked(native, QUESTION, native.url))


def test_in_the_cluster_an_answer_is_written_from_the_final_order(native: Native) -> None:
    answer = asked(native, CLUSTER | QUESTION)
    assert answer.rerank_status.endswith("; execution=cluster")
    assert ids(answer) == ids(asked(native, CLUSTER))


def test_a_key_that_no_plugin_knows_is_opensearchs_own_error(native: Native) -> None:
    straight, through = (asked(native, {"a_key": {}}, url) for url in (native.url, native.proxy_url))
    assert (through.status, through.body) == (straight.status, straight.body) == (400, straight.body)
    assert b"a_key" in straight.body
