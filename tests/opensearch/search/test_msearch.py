"""Lines of an `_msearch` and the parts of its answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch.search.msearch import (
    MAX_ITEMS,
    MultiSearchResponse,
    msearch_path,
    read_error_status,
    read_items,
)
from opensearch.search.request import NotUnderstoodError, SearchRequest
from opensearch.search.response import UnusableResponseError
from opensearch.settings.skip import Skip


def read(body: bytes, target: str = "/_msearch", indices: str = "") -> list[SearchRequest | Skip]:
    return [item.search for item in read_items(target, indices, body)]


@pytest.mark.parametrize(("header", "path", "parameters"), [
    ('{"index":"a"}', "/a/_search", {}),
    ('{"index":"a,b*"}', "/a,b*/_search", {}),
    ('{"index":["a","<log-{now/d}>"]}', "/a,%3Clog-%7Bnow%2Fd%7D%3E/_search", {}),
    ('{"index":[]}', "/_search", {}),
    (" ", "/from-path/_search", {"routing": "r"}),
    ('{"routing":"own","searchType":"dfs_query_then_fetch"}', "/from-path/_search",
     {"routing": "own", "search_type": "dfs_query_then_fetch"}),
    ('{"ignore_unavailable":true,"expand_wildcards":["open","closed"]}', "/from-path/_search",
     {"ignore_unavailable": "true", "expand_wildcards": "open,closed"}),
])  # fmt: skip
def test_a_header_is_the_path_and_the_parameters_of_a_search(
    header: str, path: str, parameters: dict[str, str]
) -> None:
    body = (header + "\n{}\n{}\n{}\n").encode()
    first = read(body, "/from-path/_msearch?routing=r&max_concurrent_searches=3", "from-path")[0]
    assert isinstance(first, SearchRequest)
    assert (first.path, dict(first.parameters)) == (path, {"routing": "r", **parameters})


def test_an_items_bytes_stay() -> None:
    item = read_items("/_msearch", "", b' {"index" : "a"} \r\n { "size":1.0 }\r\n')[0]
    assert item.lines() == b' {"index" : "a"} \r\n { "size":1.0 }\r\n'
    assert item.lines(b'{\n "size": 2 }') == b' {"index" : "a"} \r\n{"size":2}\n'


@pytest.mark.parametrize("body", [
    b"", b"\n", b"{}", b"{}\n", b"{}\n{}", b"{}\n{}\n{}\n", b"\n{}\n{}\n", b"\n{}\n{}\n\n", b"7\n{}\n",
    b"{\n{}\n",
])  # fmt: skip
def test_what_is_no_pairs_of_lines_is_not_understood(body: bytes) -> None:
    with pytest.raises(NotUnderstoodError) as raised:
        read(body)
    assert raised.value.reason == "lines"


def test_one_item_that_is_not_understood_leaves_the_others() -> None:
    searches = read(b'{}\n{"size":1}\n{}\n{/**/}\n{"routing":{}}\n{}\n')
    assert [each.reason if isinstance(each, Skip) else "" for each in searches] == ["", "body", "routing"]


def test_too_many_items_are_not_read_one_by_one() -> None:
    assert len(read(b"{}\n{}\n" * MAX_ITEMS)) == MAX_ITEMS
    with pytest.raises(NotUnderstoodError) as raised:
        read(b"{}\n{}\n" * (MAX_ITEMS + 1))
    assert raised.value.reason == "msearch_items"


def test_the_body_in_the_url_is_not_read() -> None:
    with pytest.raises(NotUnderstoodError, match="source"):
        read(b"{}\n{}\n", "/_msearch?source=x")


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_bytes_break_the_reader(header: bytes, body: bytes) -> None:
    sent = header + b"\n" + body + b"\n"
    try:
        items = read_items("/_msearch", "", sent)
    except NotUnderstoodError:
        return
    assert b"".join(item.lines() for item in items) in (sent, sent[:-1])


def test_an_answer_is_put_together_as_it_came() -> None:
    compact = b'{"took":1,"responses":[{"a":1.10},{"error":{},"status":404}]}'
    pretty = b'{\n  "took" : 1,\n  "responses" : [\n    {\n      "a" : 1.10\n    },\n    { }\n  ]\n}\n'
    for body in (compact, pretty):
        answer = MultiSearchResponse.parse(body, 2)
        assert answer.with_items(answer.items) == body
    assert [read_error_status(item) for item in MultiSearchResponse.parse(compact, 2).items] == [None, 404]


def test_two_answers_took_as_long_as_both() -> None:
    first, second = (MultiSearchResponse.parse(b'{"took":%d,"responses":[]}' % n, 0) for n in (3, 4))
    assert second.add_time_of(first).with_items([]) == b'{"took":7,"responses":[]}'


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"responses":{}}', b'{"responses":[]}', b"\xff"])
def test_what_is_no_answer_is_unusable(body: bytes) -> None:
    with pytest.raises(UnusableResponseError):
        MultiSearchResponse.parse(body, 1)


def test_rendered_items_go_to_the_path_without_template() -> None:
    assert msearch_path("/a,b/_msearch/template") == "/a,b/_msearch"
    assert msearch_path("//_msearch//template/") == "/_msearch"
    assert msearch_path("/a/_msearch") == "/a/_msearch"
