"""Search Relevance Workbench's lists: its recorded answers, by REST and saved, and what is none of them."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from opensearch.client import OpenSearchClient
from opensearch.errors import MissingError
from plugin.evaluation.workbench import (
    WorkbenchError,
    fetch_judgements,
    fetch_query_set,
    parse_judgement_list,
    parse_query_set,
    read_saved,
)
from reranker.query_files import EvaluationQuery
from tests.support.paths import ROOT

RECORDED = ROOT / "tests" / "support" / "workbench"
JUDGEMENTS, QUERY_SET = RECORDED / "judgments.json", RECORDED / "query_set.json"

QUERIES = {"tv": EvaluationQuery("tv"), "led tv": EvaluationQuery("led tv")}


class RecordedApi(BaseHTTPRequestHandler):
    """Answers with the recorded bodies, as the plugin does; with 404 for any other path."""

    def do_GET(self) -> None:
        """Answer."""
        bodies = {
            "/_plugins/_search_relevance/judgments/b54f": JUDGEMENTS,
            "/_plugins/_search_relevance/query_sets/a%2Fb": QUERY_SET,
        }
        file = bodies.get(self.path)
        content = b'{"error": "no handler found", "status": 404}' if file is None else file.read_bytes()
        self.send_response(404 if file is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def client() -> Iterator[OpenSearchClient]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), RecordedApi)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with closing(OpenSearchClient(f"http://127.0.0.1:{server.server_port}")) as connected:
        yield connected
    server.shutdown()
    server.server_close()


def test_lists_in_the_cluster_are_read_by_their_ids(client: OpenSearchClient) -> None:
    assert fetch_query_set(client, "a/b") == QUERIES
    found = fetch_judgements(client, "b54f")
    assert found.grades["red dress"] == {
        "B077ZJXCTS": 3, "B071S6LTJJ": 2, "B01IDSPDJI": 2, "B07QRCGL3G": 0, "B074V6Q1DR": 1,
    }  # fmt: skip
    assert found.texts == {"red dress": "red dress", "blue jeans": "blue jeans"}
    with pytest.raises(MissingError):
        fetch_query_set(client, "nosuch")


def test_a_saved_answer_is_the_same(tmp_path: Path) -> None:
    saved = read_saved(QUERY_SET)
    assert saved is not None
    assert parse_query_set(saved, "x") == QUERIES
    lookup = tmp_path / "lookup.json"
    lookup.write_text(json.dumps(saved["hits"]["hits"][0]))
    again = read_saved(lookup)
    assert again is not None
    assert parse_query_set(again, "x") == QUERIES


def test_what_is_imported_is_read_too(tmp_path: Path) -> None:
    file = tmp_path / "import.json"
    ratings = [{"docId": "d1", "rating": "0.6"}, {"docId": "d2", "rating": 1}]
    file.write_text(
        json.dumps({"type": "IMPORT_JUDGMENT", "judgmentRatings": [{"query": "a", "ratings": ratings}]})
    )
    saved = read_saved(file)
    assert saved is not None
    assert parse_judgement_list(saved, "x").grades == {"a": {"d1": 0.6, "d2": 1}}


@pytest.mark.parametrize(
    "content",
    ["", "query_id,query\nq,a\n", '{"queryText": "a"}\n{"queryText": "b"}\n', '{"_id": "q", "text": "a"}\n'],
)
def test_any_other_file_is_not_taken_for_one(tmp_path: Path, content: str) -> None:
    file = tmp_path / "queries"
    file.write_text(content)
    assert read_saved(file) is None
    assert read_saved(tmp_path) is None


def rated(*ratings: dict[str, Any]) -> dict[str, Any]:
    return {"judgmentRatings": [{"query": "a", "ratings": list(ratings)}]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"hits": {"hits": []}}, "expected a judgment list with judgmentRatings, found 0 lists"),
        ({"hits": {"hits": [{}, {}]}}, "found 2 lists"),
        ({"querySetQueries": []}, "missing required field `judgmentRatings`"),
        (rated({"docId": "d", "rating": "good"}), "the rating of document d for query 'a', found 'good'"),
        (rated({"docId": "d", "rating": "NaN"}), "found 'NaN'"),
        (rated({"docId": "d"}), r"missing required field `rating` - at .*ratings\[0\]"),
        (rated({"docId": "d", "rating": "1"}, {"docId": "d", "rating": "0"}), "one rating of document d"),
        (rated({"docId": "d", "rating": "0"}), "expected a rating above 0, found none"),
    ],
)
def test_what_is_no_judgement_list_is_refused(body: dict[str, Any], message: str) -> None:
    with pytest.raises(WorkbenchError, match=f"^workbench:x: .*{message}"):
        parse_judgement_list(body, "workbench:x")


def test_a_query_set_without_queries_is_refused() -> None:
    with pytest.raises(WorkbenchError, match="expected queries, found a query set without any"):
        parse_query_set({"querySetQueries": [{"queryText": " "}]}, "x")
