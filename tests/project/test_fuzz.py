"""Fuzzing: the corpus, some inputs more for each target, and what fuzzing found, through the real proxy."""

import time

import pytest

from tests.fuzz.run import EVERYTHING, HangError, Report, check, fuzz, within
from tests.fuzz.section import section
from tests.fuzz.seeds import CORPUS, corpus_of, seeds_of
from tests.fuzz.targets import Reader
from tests.support.http.raw_http import ask, search
from tests.support.indices.toy_index import ToyIndex

INPUTS, INPUTS_WHOLE = 150, 20_000
NOT_UTF8 = b'{"query":{"match":{"text":"wait \xe0 bit"}}}'
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("target", sorted(EVERYTHING))
def test_what_broke_a_promise_once_does_so_no_more(target: str) -> None:
    report = Report(target)
    check(EVERYTHING[target], [*corpus_of(target).values(), *seeds_of(target)], report)
    assert report.findings == []


def test_the_corpus_has_no_folder_without_a_target() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} <= EVERYTHING.keys()


@pytest.mark.parametrize("target", sorted(EVERYTHING))
def test_inputs_that_nobody_thought_of(target: str, is_long: bool) -> None:
    report = fuzz(target, INPUTS_WHOLE if is_long else INPUTS, seed=7)
    assert report.findings == []
    assert report.num_inputs >= INPUTS


def test_a_broken_promise_is_found_and_kept() -> None:
    def refuses_marks(data: bytes) -> None:
        if b"}" in data:
            raise KeyError("a mark")

    report = Report("search")
    check(Reader(refuses_marks), [b"", b"{}", b"}"], report)
    assert [data for data, _ in report.findings] == [b"{}", b"}"]
    check(Reader(refuses_marks, (KeyError,)), [b"}"], report)
    assert len(report.findings) == 2, "documented errors are none"
    assert "| `search` | 4 |" in section([report], "a command")


def test_a_hang_is_found() -> None:
    with pytest.raises(HangError), within(0.05):
        time.sleep(30)


@pytest.mark.live
@pytest.mark.parametrize("target", ["_search", "_search?size=2", "_msearch", "_mget", "_search/template"])
def test_a_body_that_is_not_utf8_gets_opensearchs_own_answer(
    proxy_url: str, opensearch_url: str, toy_index: ToyIndex, target: str
) -> None:
    body = b"{}\n" + NOT_UTF8 + b"\n" if target == "_msearch" else NOT_UTF8
    path = f"/{toy_index.name}/{target}"
    through, straight = (ask(url, "POST", path, body, JSON) for url in (proxy_url, opensearch_url))
    assert through.status == straight.status
    if straight.status >= 400:
        assert through.body == straight.body


@pytest.mark.live
@pytest.mark.parametrize("parameters", [
    "?filter_path=hits.hits._id," + "**." * 200 + "x", "?size=" + "9" * 4500, "?from=" + "9" * 4500,
])  # fmt: skip
def test_parameters_that_took_all_time_or_raised_get_opensearchs_own_answer(
    proxy_url: str, opensearch_url: str, toy_index: ToyIndex, parameters: str
) -> None:
    body = {"query": toy_index.query}
    through, straight = (search(url, toy_index.name, body, parameters) for url in (proxy_url, opensearch_url))
    assert through.status == straight.status
    assert "skipped" in through.rerank_status or straight.status == 200


@pytest.mark.live
def test_our_own_endpoints_take_the_same(proxy_url: str, toy_index: ToyIndex) -> None:
    refused = ask(proxy_url, "PUT", f"/_plugins/_rerank/settings/{toy_index.name}", NOT_UTF8, JSON)
    assert (refused.status, b"expected a JSON object" in refused.body) == (400, True)
    path = f"/_plugins/_rerank/settings/{toy_index.name}?filter_path=" + "**.*." * 200 + "x"
    assert ask(proxy_url, "GET", path).status == 200


@pytest.mark.live
@pytest.mark.parametrize("settings", [b'{"fusion":true}', b'{"chunk":[]}', b'{"fusion":null}'])
def test_a_section_that_is_no_object_is_refused_with_its_place(
    proxy_url: str, toy_index: ToyIndex, settings: bytes
) -> None:
    refused = ask(proxy_url, "PUT", f"/_plugins/_rerank/settings/{toy_index.name}?dry_run", settings, JSON)
    assert (refused.status, b"expected a JSON object" in refused.body) == (400, True)
