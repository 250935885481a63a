"""The official clients find the same through the proxy, on a reranked index, as straight on a plain one.

Python always; JavaScript, Java and Go with `--long`, where their tools are installed.
"""

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from reranker.bundle import Bundle
from tests.support.indices.toy_index import index_body
from tests.support.paths import TINY_BUNDLE

pytestmark = pytest.mark.live

HERE = Path(__file__).parent
PLAIN = {"properties": {"text": {"type": "text"}}}

Work = Callable[[str, str, dict[str, Any]], Any]


def reranked_mappings() -> dict[str, Any]:
    """Return the plain mappings with rerank settings."""
    mappings = index_body(Bundle.open(TINY_BUNDLE))["mappings"]
    return {**mappings, "properties": {**mappings["properties"], **PLAIN["properties"]}}


def run(command: Sequence[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=540, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def program(command: Sequence[str], folder: Path) -> Work:
    """Return what runs a client's program and reads the one line that it prints."""

    def work(url: str, index: str, mappings: dict[str, Any]) -> Any:  # noqa: ANN401  # a JSON value
        return json.loads(run([*command, url, index, json.dumps(mappings)], folder).splitlines()[-1])

    return work


def assert_same(work: Work, straight: str, proxied: str) -> None:
    index = f"clients-{uuid.uuid4().hex}"
    expected = work(straight, index, PLAIN)
    assert len(expected["search"]) == 6
    assert expected["updated"]["text"] == "gamma"
    assert work(proxied, index, reranked_mappings()) == expected
    assert work(proxied, index, PLAIN) == expected


def copied(language: str, tmp_path: Path, is_long: bool, *tools: str) -> Path:
    """Return a copy of a client's folder to build in; skip where a tool is missing."""
    if not is_long:
        pytest.skip("fetches a client and builds it: with --long")
    for tool in tools:
        if not shutil.which(tool):
            pytest.skip(f"needs {tool} on the path")
    return Path(shutil.copytree(HERE / language, tmp_path / language))


def test_python(opensearch_url: str, proxy_url: str) -> None:
    assert_same(
        program([sys.executable, "-m", "tests.clients.python_work"], HERE.parents[1]),
        opensearch_url,
        proxy_url,
    )


def test_javascript(opensearch_url: str, proxy_url: str, is_long: bool, tmp_path: Path) -> None:
    folder = copied("javascript", tmp_path, is_long, "node", "npm")
    run(["npm", "ci", "--no-audit", "--no-fund"], folder)
    assert_same(program(["node", "work.mjs"], folder), opensearch_url, proxy_url)


def test_go(opensearch_url: str, proxy_url: str, is_long: bool, tmp_path: Path) -> None:
    folder = copied("go", tmp_path, is_long, "go")
    run(["go", "build", "-o", "work", "."], folder)
    assert_same(program(["./work"], folder), opensearch_url, proxy_url)


def test_java(opensearch_url: str, proxy_url: str, is_long: bool, tmp_path: Path) -> None:
    folder = copied("java", tmp_path, is_long, "mvn", "java", "javac")
    run(["mvn", "-q", "package", "dependency:copy-dependencies"], folder)
    jars = ":".join(["target/classes", *map(str, sorted(folder.glob("target/dependency/*.jar")))])
    assert_same(program(["java", "-cp", jars, "Work"], folder), opensearch_url, proxy_url)
