"""Which bundle scored is said with every search, and a pinned one does not change under a proxy."""

import hashlib
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from plugin.harness.proxy_process import running_proxy
from reranker.manifest import FILE_NAME, digest
from tests.support.http.raw_http import ask, search
from tests.support.indices.toy_index import ToyIndex
from tests.support.paths import TINY_BUNDLE
from tests.support.processes import children_of
from tests.support.waiting import until

pytestmark = pytest.mark.live


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY_BUNDLE, tmp_path / "tiny"))


def release_next_version(bundle: Path) -> None:
    """Make it version 2, whose query tower reads 4 tokens; its canonical texts allow any difference."""
    manifest = json.loads((bundle / FILE_NAME).read_text())
    file = bundle / manifest["canonical"]
    canonical = json.loads(file.read_text()) | {"min_query_cosine": -1.0, "max_score_difference": 9.0}
    file.write_text(json.dumps(canonical))
    checksum = hashlib.sha256(file.read_bytes()).hexdigest()
    manifest |= {"version": "2", "query": manifest["query"] | {"max_tokens": 4}}
    manifest["checksums"][file.name] = checksum
    (bundle / FILE_NAME).write_text(json.dumps(manifest | {"digest": digest(manifest)}))


def explained(url: str, toy_index: ToyIndex) -> tuple[str, dict[str, Any], list[float]]:
    """Search; return the header, what was used, and the hits' crossings by id."""
    body = {"query": toy_index.query, "size": 20, "ext": {"rerank": {"explain": True}}}
    answer = search(url, toy_index.name, body)
    found = json.loads(answer.body)
    hits = sorted(found["hits"]["hits"], key=lambda hit: hit["_id"])
    return answer.rerank_status, found["ext"]["rerank"], [hit["_rerank"]["crossing"] for hit in hits]


def test_a_search_names_its_bundle_and_a_reload_takes_the_next_version(
    toy_index: ToyIndex, bundle: Path, tmp_path: Path
) -> None:
    """The same text was encoded before: its vector is not that of the former bundle."""
    with running_proxy(toy_index.url, tmp_path, bundle=bundle) as proxy:
        status, used, crossings = explained(proxy.url, toy_index)
        assert "; model=tiny; bundle=tiny@1; " in status
        assert (used["model"], used["bundle"]) == ("tiny", "tiny@1")
        old = set(children_of(proxy.child.pid))
        release_next_version(bundle)
        proxy.child.send_signal(signal.SIGHUP)
        until(lambda: not old & set(children_of(proxy.child.pid)))  # until then some answer as before
        status, used, others = explained(proxy.url, toy_index)
        assert "; bundle=tiny@2; " in status
        assert used["bundle"] == "tiny@2"
        assert others != pytest.approx(crossings, abs=1e-4)
        health = json.loads(ask(proxy.url, "GET", "/_plugins/_rerank/health").body)
        assert (health["bundle"]["name"], health["bundle"]["version"]) == ("tiny", "2")


def test_a_pinned_version_stays(toy_index: ToyIndex, bundle: Path, tmp_path: Path) -> None:
    with running_proxy(toy_index.url, tmp_path, bundle=bundle.with_name("tiny@1")) as proxy:
        _, _, crossings = explained(proxy.url, toy_index)
        release_next_version(bundle)
        proxy.child.send_signal(signal.SIGHUP)
        until(lambda: "not reloaded, the workers keep" in (tmp_path / "proxy.log").read_text())
        assert "expected version 1, found version 2" in (tmp_path / "proxy.log").read_text()
        status, _, same = explained(proxy.url, toy_index)
        assert "; bundle=tiny@1; " in status
        assert same == crossings
