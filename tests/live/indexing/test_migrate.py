"""A change of model on a real OpenSearch, searched through proxies of either model all the while."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch, helpers

from opensearch.client import OpenSearchClient
from opensearch.index import metadata
from plugin.harness.proxy_process import running_proxy
from reranker.bundle import Bundle
from tests.support.http.raw_http import RawAnswer, ask
from tests.support.index_command import Command
from tests.support.other_bundle import other_bundle
from tests.support.paths import ROOT, TINY_BUNDLE
from tests.support.sync_run import make_index, synced

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

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


@pytest.fixture(scope="module")
def both_proxy_url(
    opensearch_url: str, new: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("proxy-both")
    also = ["--also", str(new.path), "--workers", "1"]
    with running_proxy(opensearch_url, folder, bundle=TINY_BUNDLE, arguments=also) as proxy:
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
    return metadata.find_write_index(OpenSearchClient(url), index).rerank_settings()


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
        assert audited(opensearch_url, index, bundle)["stale"] == 0
    kept = client.get(index=index, id="5")["_source"]
    assert set(kept["rerank"]) == {"vector", "vector_2"}


def audited(url: str, index: str, bundle: Path) -> dict[str, int]:
    """Return what the vectors of that bundle are worth."""
    done = Command(url, index, bundle)("verify", "--json")
    found: dict[str, int] = json.loads(done.stdout)[index]
    return found


SCRIPT = {"script": {"source": "ctx._source.text += ' by script'"}}


def write_everyhow(url: str, index: str, word: str) -> None:
    """Write ten documents in every way that the proxy knows."""
    lines: list[Any] = [
        {"index": {"_id": "1"}}, {"text": f"word {word} one"},
        {"create": {"_id": f"new-{word}"}}, {"text": f"word {word} created"},
        {"update": {"_id": "2"}}, {"doc": {"text": f"word {word} two"}},
        {"update": {"_id": "3"}}, SCRIPT,
        {"update": {"_id": f"more-{word}"}}, {"doc": {"text": f"word {word}"}, "doc_as_upsert": True},
        {"update": {"_id": "4"}}, {"doc": {"n": word}},
    ]  # fmt: skip
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    answer = ask(url, "POST", f"/{index}/_bulk", body, {"Content-Type": "application/x-ndjson"})
    assert not json.loads(answer.body)["errors"], answer.body
    for method, target, source in (
        ("PUT", f"/{index}/_doc/5", {"text": f"word {word} five"}),
        ("POST", f"/{index}/_update/6", {"doc": {"text": f"word {word} six"}}),
        ("POST", f"/{index}/_update/7", SCRIPT),
        ("POST", f"/{index}/_update/8", {"doc": {"text": "word 8"}}),
    ):
        headers = {"Content-Type": "application/json"}
        answer = ask(url, method, target, json.dumps(source).encode(), headers)
        assert answer.status == 200, answer.body


def test_with_both_bundles_at_hand_every_write_carries_both_vectors(
    opensearch_url: str, client: OpenSearch, both_proxy_url: str, new: Bundle, index: str
) -> None:
    migrate(opensearch_url, index, "--to", str(new.path))
    time.sleep(1.5)  # as above
    write_everyhow(both_proxy_url, index, "dual")
    for bundle in (TINY_BUNDLE, new.path):
        found = audited(opensearch_url, index, bundle)
        assert (found["current"], found["documents"]) == (COUNT + 2, COUNT + 2), found
    same = {"index": {"_id": "1"}}, {"text": "word dual one"}
    body = b"".join(json.dumps(line).encode() + b"\n" for line in same)
    answer = ask(both_proxy_url, "POST", f"/{index}/_bulk", body, {"Content-Type": "application/x-ndjson"})
    assert answer.headers["rerank-written"].startswith("documents=1; encoded=0;"), "both were known"
    cut = migrate(opensearch_url, index, "cutover", "--to", str(new.path))
    assert cut.returncode == 0, cut.stderr


def test_two_proxies_of_either_bundle_never_mix_vectors(
    opensearch_url: str, client: OpenSearch, proxy_url: str, new_proxy_url: str, new: Bundle, index: str
) -> None:
    """A rolling upgrade: both write in turn, before and after the cut-over and after a rollback."""
    migrate(opensearch_url, index, "--to", str(new.path))
    for number, step in enumerate(("cutover", "rollback", None)):
        time.sleep(1.5)  # as above
        for name, url in (("old", proxy_url), ("new", new_proxy_url), ("again", proxy_url)):
            write_everyhow(url, index, f"{name}{number}")
            for bundle in (TINY_BUNDLE, new.path):
                found = audited(opensearch_url, index, bundle)
                assert (found["stale"], found["foreign"], found["corrupt"]) == (0, 0, 0), (name, step, found)
        if step is not None:
            done = migrate(opensearch_url, index, step, "--to", str(new.path), "--coverage", "0.1")
            assert done.returncode == 0, done.stderr
    migrate(opensearch_url, index, "--to", str(new.path))
    synced(opensearch_url, index)
    for bundle in (TINY_BUNDLE, new.path):
        found = audited(opensearch_url, index, bundle)
        assert found["current"] == found["documents"], found
