"""A change of model on a real OpenSearch, searched through proxies of either model all the while."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opensearchpy import OpenSearch, helpers

from opensearch import indices
from opensearch.client import Upstream
from plugin.proxy_process import running_proxy
from reranker.bundle import Bundle
from tests.conftest import TINY_BUNDLE
from tests.index_command import ROOT, Command
from tests.other_bundle import other_bundle
from tests.raw_http import RawAnswer, ask
from tests.sync_run import make_index, synced

pytestmark = pytest.mark.live

COUNT = 30


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return other_bundle(tmp_path_factory.mktemp("bundle") / "tiny-2")


@pytest.fixture(scope="module")
def new_proxy_url(
    opensearch_url: str, new: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with running_proxy(opensearch_url, tmp_path_factory.mktemp("proxy-2"), bundle=new.path) as proxy:
        yield proxy.url


@pytest.fixture
def index(opensearch_url: str, client: OpenSearch, index_name: str) -> str:
    make_index(client, index_name, refresh="1s", deadline_ms=10_000)
    actions = ({"_index": index_name, "_id": str(n), "_source": {"text": f"word {n}"}} for n in range(COUNT))
    helpers.bulk(client, actions)
    assert synced(opensearch_url, index_name).written == COUNT
    client.indices.refresh(index=index_name)
    return index_name


def migrate(url: str, index: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "plugin", "migrate", index, *arguments, "--upstream", url],
        cwd=ROOT, capture_output=True, timeout=120, check=False,
    )  # fmt: skip


def search(url: str, index: str) -> RawAnswer:
    body = json.dumps({"query": {"match": {"text": "word"}}, "size": COUNT}).encode()
    return ask(url, "POST", f"/{index}/_search", body, {"Content-Type": "application/json"})


def until_status(url: str, index: str, part: str) -> RawAnswer:
    """Search until the settings' change has arrived; every answer on the way must be right too."""
    end = time.monotonic() + 60
    while part not in (answer := search(url, index)).rerank_status:
        check_whole(answer)
        assert time.monotonic() < end, answer.rerank_status
        time.sleep(0.1)
    check_whole(answer)
    return answer


def check_whole(answer: RawAnswer) -> None:
    """Every document stands in the answer once, none with a vector of either model to be seen."""
    hits = json.loads(answer.body)["hits"]["hits"]
    assert answer.status == 200
    assert sorted(int(hit["_id"]) for hit in hits) == list(range(COUNT))
    assert all(set(hit["_source"]) == {"text"} for hit in hits), hits[0]


def count(client: OpenSearch, index: str, field: str) -> int:
    client.indices.refresh(index=index)
    found: int = client.count(index=index, body={"query": {"exists": {"field": field}}})["count"]
    return found


def settings(url: str, index: str) -> Any:  # noqa: ANN401
    return indices.written_by(Upstream(url), index).rerank_settings()


def test_from_one_model_to_another_and_back(
    opensearch_url: str, client: OpenSearch, proxy_url: str, new_proxy_url: str, new: Bundle, index: str
) -> None:
    to = ("--to", str(new.path))
    assert migrate(opensearch_url, index, *to, "--json").returncode == 0
    assert count(client, index, "rerank.vector_2") == COUNT
    until_status(proxy_url, index, f"scored={COUNT}; model=tiny;")
    until_status(new_proxy_url, index, "skipped; reason=model")

    client.update(index=index, id="3", body={"doc": {"text": "word of another text"}})
    early = migrate(opensearch_url, index, "cutover", *to)
    assert early.returncode == 1
    assert b"found 96.67% (30 documents: 29 current, 1 stale" in early.stderr
    assert settings(opensearch_url, index).model == "tiny"
    assert migrate(opensearch_url, index, *to).returncode == 0
    assert count(client, index, "rerank.vector") == COUNT - 1, "the old field's vector was of the former text"
    assert synced(opensearch_url, index).written == 1

    done = migrate(opensearch_url, index, "cutover", *to)
    assert b"searches use rerank.vector_2 of tiny-2; rerank.vector of tiny is kept" in done.stdout
    until_status(new_proxy_url, index, f"scored={COUNT}; model=tiny-2;")
    until_status(proxy_url, index, f"scored={COUNT}; model=tiny;")

    assert migrate(opensearch_url, index, "rollback").returncode == 0
    until_status(new_proxy_url, index, "skipped; reason=model")
    until_status(proxy_url, index, f"scored={COUNT}; model=tiny;")

    assert migrate(opensearch_url, index, "cutover", *to).returncode == 0
    cleaned = migrate(opensearch_url, index, "cleanup", "--json")
    assert json.loads(cleaned.stdout)["written"] == COUNT
    assert (count(client, index, "rerank.vector"), count(client, index, "rerank.vector_2")) == (0, COUNT)
    until_status(new_proxy_url, index, f"scored={COUNT}; model=tiny-2;")
    until_status(proxy_url, index, "skipped; reason=model")
    report = json.loads(migrate(opensearch_url, index, "status", *to, "--json").stdout)
    assert (report["model"], report["migration"], report["coverage"]) == ("tiny-2", "none", 1.0)


def test_steps_out_of_order_are_refused(
    opensearch_url: str, client: OpenSearch, new: Bundle, index: str
) -> None:
    to = ("--to", str(new.path))
    for arguments, reason in [
        (("cutover", *to), b"found none"),
        (("rollback",), b"found none"),
        (("cleanup",), b"found none"),
        ((), b"--to FOLDER"),
        (("--to", str(ROOT / "tests/bundles/tiny")), b"searches use already"),
    ]:
        done = migrate(opensearch_url, index, *arguments)
        assert done.returncode != 0
        assert reason in done.stderr, done.stderr
        assert b"Traceback" not in done.stderr
    missing = migrate(opensearch_url, f"{index}-missing", *to)
    assert b"twinrank enable" in missing.stderr


def test_indexing_during_a_migration_leaves_no_vector_of_a_former_text(
    opensearch_url: str, client: OpenSearch, new: Bundle, index: str
) -> None:
    migrate(opensearch_url, index, "--to", str(new.path))
    stored = client.get(index=index, id="1")["_source"]
    changed = json.dumps({"_id": "1", **stored, "text": "word changed"}).encode()
    Command(opensearch_url, index).load(changed)
    source = client.get(index=index, id="1")["_source"]
    assert set(source["rerank"]) == {"vector"}
    assert Command(opensearch_url, index)("verify").returncode == 0


def test_writes_through_the_proxy_leave_no_vector_of_a_former_text(
    opensearch_url: str, client: OpenSearch, proxy_url: str, new: Bundle, index: str
) -> None:
    migrate(opensearch_url, index, "--to", str(new.path))
    time.sleep(1.5)  # the proxy's view of the settings is a second old at most
    both = client.get(index=index, id="1")["_source"]
    assert set(both["rerank"]) == {"vector", "vector_2"}
    writes = [
        ("POST", f"/{index}/_update/1", {"doc": {"text": "word one"}}),
        ("POST", f"/{index}/_update/2", {"doc": {"text": "word two"}, "doc_as_upsert": True}),
        ("PUT", f"/{index}/_doc/3", {**both, "text": "word three"}),
        ("POST", f"/{index}/_update/4", {"doc": {"text": ""}}),
        ("POST", f"/{index}/_update/5", {"doc": {"other": 1}}),
    ]
    for method, target, body in writes:
        headers = {"Content-Type": "application/json"}
        assert ask(proxy_url, method, target, json.dumps(body).encode(), headers).status == 200
    for bundle in (TINY_BUNDLE, new.path):
        done = Command(opensearch_url, index, bundle)("verify", "--json")
        assert json.loads(done.stdout)[index]["stale"] == 0, done.stdout
    kept = client.get(index=index, id="5")["_source"]
    assert set(kept["rerank"]) == {"vector", "vector_2"}
