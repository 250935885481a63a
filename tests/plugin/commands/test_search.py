"""`twinrank search`: one search both ways."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from plugin.commands.main import main
from plugin.harness.proxy_process import free_port
from tests.support.indices.toy_index import ToyIndex

pytestmark = pytest.mark.opensearch_2_19


@pytest.mark.live
def test_both_orders_are_shown(toy_index: ToyIndex, proxy_url: str) -> None:
    where = ["--upstream", toy_index.url, "--proxy", proxy_url, "--field", "text", "--size", "3"]
    result = CliRunner().invoke(main, ["search", toy_index.name, toy_index.query_text, *where])
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.output.splitlines() if line.strip()[:1] in ("1", "2", "3")]
    assert [row[1] for row in rows[:3]] == [hit["_id"] for hit in toy_index.first_stage(3)]
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
    assert first[0]["_source"]["text"].startswith(told["opensearch"]["hits"][0]["text"].removesuffix("…"))
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
    assert "sorted by something other than its score" in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["books"], "expected either TEXT or --body FILE"),
        (["books", "text", "--body", "-"], "expected either TEXT or --body FILE"),
        (["books", "{"], "expected a text, or a search as JSON"),
        (["books", "--body", "-"], "expected a search as a JSON object, found a list"),
        (["books", "text", "--size", "0"], "0 is not in the range"),
    ],
)
def test_what_is_no_search_is_refused(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(main, ["search", *arguments], input="[]")
    assert (result.exit_code, words in " ".join(result.output.split())) == (2, True)
