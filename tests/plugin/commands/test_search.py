"""`twinrank search`: one search both ways."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from plugin.commands.main import main
from plugin.harness.proxy_process import free_port
from tests.support.indices.toy_index import ToyIndex, index_body

pytestmark = pytest.mark.opensearch_2_19


@pytest.mark.live
def test_both_orders_are_shown(toy_index: ToyIndex, proxy_url: str) -> None:
    where = ["--upstream", toy_index.url, "--proxy", proxy_url, "--field", "text", "--size", "3"]
    result = CliRunner().invoke(main, ["search", toy_index.name, toy_index.query_text, *where])
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.output.splitlines() if line.strip()[:1] in ("1", "2", "3")]
    texts = [hit["_source"]["text"].split() for hit in toy_index.first_stage(3)]
    assert [row[1:4] for row in rows[:3]] == [text[:3] for text in texts]
    assert "applied; window=100" in " ".join(result.output.split())


@pytest.mark.live
def test_a_proxy_that_is_not_there_is_a_plain_sentence(toy_index: ToyIndex) -> None:
    where = ["--upstream", toy_index.url, "--proxy", f"http://127.0.0.1:{free_port()}"]
    result = CliRunner().invoke(main, ["search", toy_index.name, "text", *where])
    assert result.exit_code == 1
    assert "Is it running?" in result.stderr


def shown(toy: ToyIndex, proxy_url: str, *arguments: str, data: str | None = None) -> Result:
    where = ["--upstream", toy.url, "--proxy", proxy_url]
    return CliRunner().invoke(main, ["search", toy.name, *arguments, *where], input=data)


@pytest.mark.live
def test_json_has_both_orders_and_what_moved(toy_index: ToyIndex, proxy_url: str) -> None:
    result = shown(toy_index, proxy_url, toy_index.query_text, "--field", "text", "--size", "3", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert set(told) == {"opensearch", "twinrank", "moved", "repeats"}
    first = toy_index.first_stage(3)
    assert [hit["_id"] for hit in told["opensearch"]["hits"]] == [hit["_id"] for hit in first]
    assert told["opensearch"]["hits"][0]["_score"] == pytest.approx(first[0]["_score"])
    for shown_as in ("title", "text"):
        shown_text = told["opensearch"]["hits"][0][shown_as].removesuffix("…")
        assert first[0]["_source"]["text"].startswith(shown_text)
    assert [hit["_id"] for hit in told["twinrank"]["hits"]] == toy_index.expected_order()[:3]
    assert told["twinrank"]["rerank_status"].startswith("applied; window=100")
    assert len(told["moved"]) == 3
    assert all(told[side]["elapsed_ms"] > 0 for side in ("opensearch", "twinrank"))


@pytest.mark.live
@pytest.mark.parametrize("form", ["file", "stdin", "argument"])
def test_a_body_is_a_search_of_its_own(
    toy_index: ToyIndex, proxy_url: str, tmp_path: Path, form: str
) -> None:
    """Its `ext.rerank` is for the proxy alone, and its size holds unless `--size` is given."""
    body = json.dumps({"query": toy_index.query, "size": 4, "ext": {"rerank": {"window_size": 20}}})
    file = tmp_path / "search.json"
    file.write_text(body)
    given = {"file": ["--body", str(file)], "stdin": ["--body", "-"], "argument": [body]}[form]
    data = body if form == "stdin" else None
    told = json.loads(shown(toy_index, proxy_url, *given, "--json", data=data).output)
    assert [hit["_id"] for hit in told["opensearch"]["hits"]] == [
        hit["_id"] for hit in toy_index.first_stage(4)
    ]
    assert [hit["_id"] for hit in told["twinrank"]["hits"]] == toy_index.expected_order(20)[:4]
    assert "window=20" in told["twinrank"]["rerank_status"]
    fewer = json.loads(shown(toy_index, proxy_url, *given, "--size", "2", "--json", data=data).output)
    assert len(fewer["twinrank"]["hits"]) == 2


@pytest.mark.live
def test_a_body_that_is_not_reranked_says_why(toy_index: ToyIndex, proxy_url: str) -> None:
    body = json.dumps({"query": toy_index.query, "sort": ["n"]})
    told = json.loads(shown(toy_index, proxy_url, body, "--json").output)
    assert told["twinrank"]["rerank_status"] == "skipped; reason=sort"
    assert told["twinrank"]["hits"] == told["opensearch"]["hits"]
    assert (set(told["moved"]), told["repeats"]) == ({"="}, 0)
    words = " ".join(shown(toy_index, proxy_url, body).output.split())
    assert "sorted by something else than descending" in words


@pytest.mark.live
def test_titles_are_shown_in_place_of_ids(toy_index: ToyIndex, proxy_url: str, index_name: str) -> None:
    """The first source field that has text."""
    client, body = toy_index.client, index_body(toy_index.bundle, source_fields=["name", "text"])
    client.indices.create(index=index_name, body=body)
    for id_, source in (("id-1", {"name": "A drill", "text": "wait a bit"}), ("id-2", {"text": "a bit"})):
        client.index(index=index_name, id=id_, body=source, refresh=True)
    where = ["--upstream", toy_index.url, "--proxy", proxy_url]
    result = CliRunner().invoke(main, ["search", index_name, "bit", "--field", "text", *where])
    assert result.exit_code == 0, result.output
    assert "A drill  " in result.output
    assert " a bit  " in result.output
    assert "wait a bit" not in result.output
    assert "id-1" not in result.output


@pytest.mark.live
def test_scores_are_shown_in_parts_that_add_up(toy_index: ToyIndex, proxy_url: str) -> None:
    """The fused scores themselves are numbers like 7.6e+09."""
    arguments = [toy_index.query_text, "--field", "text", "--size", "5", "--scores"]
    hits = json.loads(shown(toy_index, proxy_url, *arguments, "--json").output)["twinrank"]["hits"]
    parts = [dict(hit["score_parts"]) for hit in hits]
    totals = [each.pop("total") for each in parts]
    assert totals == sorted(totals, reverse=True)
    assert [sum(each.values()) for each in parts] == pytest.approx(totals, abs=0.001)
    assert all({"first_stage", "crossing"} <= each.keys() for each in parts)
    printed = shown(toy_index, proxy_url, *arguments).output
    assert [float(total) for total in re.findall(r" (-?[0-9.]+) = ", printed)] == pytest.approx(
        totals, abs=0.051
    )
    assert "Score: logarithm of OpenSearch's score + crossing" in printed


@pytest.mark.live
def test_without_reranking_there_are_no_scores_to_show(toy_index: ToyIndex, proxy_url: str) -> None:
    body = json.dumps({"query": toy_index.query, "sort": ["n"]})
    result = shown(toy_index, proxy_url, body, "--scores", "--json")
    assert result.exit_code == 0, result.output
    assert "score_parts" not in result.output


@pytest.mark.live
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"size": 20_000}, "Result window is too large"),
        ({"from": 9_999, "size": 2}, "Result window is too large"),
        ({"from": -1}, "[from] parameter cannot be negative"),
        ({"size": "many"}, "many"),
        ({"no_such_key": 1}, "no_such_key"),
        ({"ext": {"rerank": {"window": 5}}}, "ext.rerank.window: expected"),
    ],
    ids=str,
)
def test_what_opensearch_or_the_proxy_refuses_is_a_plain_sentence(
    toy_index: ToyIndex, proxy_url: str, body: dict[str, Any], words: str
) -> None:
    result = shown(toy_index, proxy_url, json.dumps({"query": toy_index.query, **body}))
    assert result.exit_code == 1
    assert words in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["search", "explain"])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "Invalid value for --body: expected a search as JSON, found: Expecting value"),
        (b"{", "Invalid value for --body: expected a search as JSON, found:"),
        (b"\xff\xfe{", "Invalid value for --body: expected a search as JSON, found:"),
        (b'{"min_score": NaN}', "found: NaN, which JSON does not have"),
        (b'"words"', "Invalid value for --body: expected a search as a JSON object, found a text"),
        (b"[" * 100_000, "Invalid value for --body: expected a search as JSON, found:"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_file_that_is_no_search_is_refused(command: str, data: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "search.json"
    file.write_bytes(data)
    for body, given in ((str(file), None), ("-", data)):
        result = CliRunner().invoke(main, [command, "books", "--body", body], input=given)
        assert result.exit_code == 2
        assert words in " ".join(result.output.split()), result.output


@pytest.mark.parametrize("command", ["search", "explain"])
def test_a_file_that_is_absent_is_named(command: str, tmp_path: Path) -> None:
    for file in (tmp_path / "absent.json", tmp_path):
        result = CliRunner().invoke(main, [command, "books", "--body", str(file)])
        assert result.exit_code == 2
        assert "Invalid value for '--body'" in " ".join(result.output.split())


@pytest.mark.parametrize("command", ["search", "explain"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["books"], "expected either TEXT or --body FILE"),
        (["books", "text", "--body", "-"], "expected either TEXT or --body FILE"),
        (["books", " "], "expected words or a search as TEXT, found nothing"),
        (["books", "{"], "expected a text, or a search as JSON"),
        (["books", "--body", "-"], "expected a search as a JSON object, found a list"),
        (["books", "text", "--size", "0"], "0 is not in the range"),
    ],
)
def test_what_is_no_search_is_refused(command: str, arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(main, [command, *arguments], input="[]")
    assert (result.exit_code, words in " ".join(result.output.split())) == (2, True)
