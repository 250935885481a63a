"""`twinrank serve` as a process: what it needs to start, what it says when it cannot, and its memory."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import ProxyError, free_port, running_proxy
from tests.support.http.raw_http import ask
from tests.support.paths import TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]


def test_the_proxy_starts_before_opensearch_and_says_that_it_waits(tmp_path: Path) -> None:
    with running_proxy(f"http://127.0.0.1:{free_port()}", tmp_path, bundle=TINY_BUNDLE) as proxy:
        health = ask(proxy.url, "GET", "/_plugins/_rerank/health")
        assert (health.status, json.loads(health.body)["status"]) == (503, "unavailable")
        search = ask(proxy.url, "GET", "/books/_search")
        assert (search.status, json.loads(search.body)["status"]) == (502, 502)


def test_health_names_the_bundle(proxy_url: str) -> None:
    health = ask(proxy_url, "GET", "/_plugins/_rerank/health")
    manifest = json.loads((TINY_BUNDLE / "manifest.json").read_text())
    assert (health.status, json.loads(health.body)["bundle"]["digest"]) == (200, manifest["digest"])


def test_an_own_endpoint_that_does_not_exist(proxy_url: str) -> None:
    answer = ask(proxy_url, "GET", "/_plugins/_rerank/no_such_endpoint")
    assert (answer.status, json.loads(answer.body)["status"]) == (404, 404)


@pytest.mark.parametrize("name", ["manifest.json", "query_encoder.onnx", "weights.bin", "tokenizer.json"])
def test_a_flipped_byte_in_the_bundle_stops_it(tmp_path: Path, name: str) -> None:
    bundle = shutil.copytree(TINY_BUNDLE, tmp_path / "bundle")
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with (
        pytest.raises(ProxyError, match="expected"),
        running_proxy("http://127.0.0.1:9", tmp_path, bundle=bundle),
    ):
        pass


@pytest.mark.parametrize(("options", "words"), [
    (["--upstream", "localhost:9200"], "expected an upstream such as"),
    (["--bundle", "/nowhere/bundle"], "expected a bundle's folder"),
    (["--workers", "0"], "0 is not in the range"),
])  # fmt: skip
def test_bad_options_end_with_a_sentence(options: list[str], words: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "plugin", "serve", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode in (1, 2)
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_large_body_is_streamed_not_kept(
    client: OpenSearch, opensearch_url: str, index_name: str, tmp_path: Path
) -> None:
    """45 MB each way through the proxy: no worker's peak memory grows by more than a sixth of it."""
    client.indices.create(index=index_name, body={"mappings": {"dynamic": False}})

    def lines() -> Iterator[bytes]:
        for number in range(450):
            yield b'{"index":{"_id":"%d"}}\n{"text":"%s"}\n' % (number, b"x" * 100_000)

    with running_proxy(opensearch_url, tmp_path, bundle=TINY_BUNDLE) as proxy:
        before = peak_bytes(proxy.child.pid)
        target = f"/{index_name}/_bulk?filter_path=errors&refresh=true"
        answer = ask(proxy.url, "POST", target, lines(), {"Content-Type": "application/x-ndjson"})
        found = ask(proxy.url, "GET", f"/{index_name}/_search?size=450")
        after = peak_bytes(proxy.child.pid)
    assert json.loads(answer.body) == {"errors": False}
    assert (found.status, len(found.body) > 45_000_000) == (200, True)
    assert after - before < 8_000_000


def peak_bytes(pid: int) -> int:
    """Return the largest peak of resident memory among a process's children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    status = [Path(f"/proc/{child}/status").read_text() for child in children]
    return max(int(text.partition("VmHWM:")[2].split()[0]) * 1024 for text in status)


def test_the_master_never_imports_onnx_runtime() -> None:
    """Its import starts threads; a worker forked from them would not end."""
    imports = "import sys, plugin.server.gunicorn_app; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", imports], timeout=60, check=False).returncode == 0
