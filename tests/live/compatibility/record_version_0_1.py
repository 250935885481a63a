"""Record indices and responses of version 0.1; run by hand, once, with a checkout of that version.

    git worktree add /tmp/version-0.1 89f69f8
    python -m tests.live.compatibility.record_version_0_1 --code /tmp/version-0.1

89f69f8 is the last commit of version 0.1. Its code makes the indices, encodes the documents and answers the
searches, as a user's did; this module only starts it on an empty OpenSearch and writes down what it sees.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from opensearchpy import OpenSearch

from plugin.commands.local_server import make_local_server
from plugin.harness.proxy_process import free_port
from tests.live.compatibility.library import RUSSIAN, read_documents
from tests.live.compatibility.recorded import (
    Answer,
    Document,
    Exchange,
    RecordedIndex,
    Recording,
    encode_body,
    read_answer,
)
from tests.live.compatibility.requests import INDEX, Request, list_requests
from tests.support.http.raw_http import ask
from tests.support.waiting import until

FOLDER = Path(__file__).parent / "version_0_1"
BUNDLES = ("bge-small-en-v1.5", "bge-small-en-v1.5-light", "bge-small-en-v1.5-fast")
TINY = "tests/bundles/tiny"
FIELDS = ("--field", "title", "--field", "body", "--field", "about.tags")
CHANGED_SETTINGS = (
    "chunk.max_tokens=64", "chunk.overlap=8", "chunk.max_chunks=6", "window_size=60", "min_coverage=0.5",
    "fusion.weight=7.5", "deadline_ms=10000", "versioning=internal",
)  # fmt: skip
SERVER_SETTINGS = {"deadline_ms": 10_000}
"""What `serve --settings` says: no search may miss its deadline, however busy the machine is."""

PROPERTIES = {
    "title": {"type": "text"},
    "body": {"type": "text"},
    "about": {"properties": {"tags": {"type": "text"}}},
    "page": {"type": "keyword"},
}
OTHER_TAG = (0x0BADCAFE).to_bytes(4, "little")
TAG_PLACE = slice(16, 20)
"""Where a stored vector has its model's tag, in format version 1."""


@dataclass(frozen=True)
class OldVersion:
    """The checkout of version 0.1, and the OpenSearch that it works on."""

    code: Path
    upstream: str

    def run(self, *arguments: str, data: bytes = b"", allowed: tuple[int, ...] = (0,)) -> bytes:
        """Run one command of `twinrank` and return what it wrote.

        Raises:
            SystemExit: its exit status is not an allowed one; with what it wrote.
        """
        command = [sys.executable, "-m", "plugin", *arguments, "--upstream", self.upstream]
        done = subprocess.run(
            command, cwd=self.code, env=self._environment, input=data, capture_output=True, check=False
        )
        if done.returncode not in allowed:
            raise SystemExit(f"{arguments}: {done.stderr.decode()}{done.stdout.decode()}")
        click.echo(f"{arguments[:2]} {done.stdout.decode().strip().split(chr(10))[-1]}")
        return done.stdout

    @contextmanager
    def serving(self, bundle: str, settings: Path) -> Iterator[str]:
        """Yield the URL of its proxy with one bundle, while the block runs."""
        listen = f"127.0.0.1:{free_port()}"
        options = ["--listen", listen, "--bundle", bundle, "--workers", "1", "--settings", str(settings)]
        command = [sys.executable, "-m", "plugin", "serve", *options, "--upstream", self.upstream]
        with subprocess.Popen(command, cwd=self.code, env=self._environment) as proxy:
            try:
                until(lambda: _is_ready(f"http://{listen}"), "a ready proxy")
                yield f"http://{listen}"
            finally:
                proxy.terminate()

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.code)}


@click.command()
@click.option(
    "--code",
    type=click.Path(path_type=Path, resolve_path=True),
    required=True,
    help="a checkout of version 0.1",
)
def main(code: Path) -> None:
    """Record everything into FOLDER."""
    with tempfile.TemporaryDirectory(prefix="twinrank-recording-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        server = make_local_server(port=0, folder=folder / "server")
        url = server.start()
        try:
            with OpenSearch(url, timeout=60) as client:
                old = OldVersion(code, url)
                make_indices(old, client)
                settings = folder / "settings.json"
                settings.write_text(json.dumps(SERVER_SETTINGS))
                indices = [read_index(client, name) for name in sorted(client.indices.get(index="library*"))]
                restore_all(client, indices)
                reports = {name: _report(old, name, indices) for name in ("settings", "status", "verify")}
                exchanges = {bundle: _record_bundle(old, bundle, settings) for bundle in BUNDLES}
        finally:
            server.stop()
    FOLDER.mkdir(exist_ok=True)
    Recording(indices, exchanges, reports).write(FOLDER)


def make_indices(old: OldVersion, client: OpenSearch) -> None:
    """Make the indices with version 0.1's commands, then what its users do behind its back."""
    documents = read_documents(old.code)
    few = documents[::13]
    russian = [{"_id": f"r{number}", "body": text} for number, text in enumerate(RUSSIAN)]
    changed = tuple(part for setting in CHANGED_SETTINGS for part in ("--set", setting))
    _make(old, client, INDEX, documents, *changed, shards=2)
    for name in ("plain", "moving", "moved"):
        _make(old, client, f"{INDEX}-{name}", few)
    _make(old, client, f"{INDEX}-disabled", few, "--set", "enabled=false", "--set", "score=probability")
    _make(old, client, f"{INDEX}-russian", russian)
    for name in ("moving", "moved"):
        old.run("migrate", f"{INDEX}-{name}", "--to", TINY)
    old.run("migrate", f"{INDEX}-moved", "cutover", "--to", TINY)
    old.run("sync", INDEX, "--bundle", BUNDLES[0])
    client.indices.put_alias(index=INDEX, name="books")
    write_past_the_proxy(client)
    client.indices.refresh(index=f"{INDEX}*")


def write_past_the_proxy(client: OpenSearch) -> None:
    """Leave documents without vector, with one of a former text, of no text, and of another model."""
    for number in range(3):
        text = f"Document {number} was written to OpenSearch itself, and has no vector yet."
        client.index(
            index=INDEX, id=f"missing-{number}", body={"title": "No vector", "body": text, "page": "none"}
        )
    stale = {"body": "This text was changed past the proxy: the stored vector is that of another text."}
    for name in ("p20", "p120"):
        client.update(index=INDEX, id=name, body={"doc": stale})
    emptied = client.get(index=INDEX, id="p60")["_source"]
    client.index(index=INDEX, id="emptied", body={"page": "none", "rerank": emptied["rerank"]})
    other = client.get(index=INDEX, id="p200")["_source"]
    vector = bytearray(base64.b64decode(other["rerank"]["vector"]))
    vector[TAG_PLACE] = OTHER_TAG
    other["rerank"]["vector"] = base64.b64encode(vector).decode()
    client.index(index=INDEX, id="p200", body=other)


def read_index(client: OpenSearch, name: str) -> RecordedIndex:
    """Read an index whole: its documents shard by shard, in Lucene's order."""
    about = client.indices.get(index=name)[name]
    shards = int(about["settings"]["index"]["number_of_shards"])
    documents = []
    for shard in range(shards):
        found = client.search(
            index=name, body={"size": 10_000, "sort": "_doc"}, params={"preference": f"_shards:{shard}"}
        )
        documents += [Document(hit["_id"], hit["_source"]) for hit in found["hits"]["hits"]]
    return RecordedIndex(name, shards, about["mappings"], sorted(about["aliases"]), documents)


def restore_all(client: OpenSearch, indices: list[RecordedIndex]) -> None:
    """Make the indices again of what was read, as tests do: deleted documents count for BM25."""
    for index in indices:
        client.indices.delete(index=index.name)
        index.restore(client)


def _make(
    old: OldVersion,
    client: OpenSearch,
    name: str,
    documents: list[dict[str, Any]],
    *options: str,
    shards: int = 1,
) -> None:
    """Make an index, enable it with the default bundle and load documents with their vectors."""
    settings = {"number_of_shards": shards, "number_of_replicas": 0}
    client.indices.create(index=name, body={"settings": settings, "mappings": {"properties": PROPERTIES}})
    bundle = ("--bundle", BUNDLES[0])
    old.run("enable", name, *FIELDS, *options, *bundle)
    lines = b"".join(json.dumps(each).encode() + b"\n" for each in documents)
    old.run("index", name, "-", *bundle, data=lines)


def _report(old: OldVersion, command: str, indices: list[RecordedIndex]) -> dict[str, Any]:
    """Return what a command says of each index, as JSON; `verify` has the status 1 if a vector is stale."""
    options = () if command == "settings" else ("--bundle", BUNDLES[0])
    return {
        each.name: json.loads(old.run(command, each.name, "--json", *options, allowed=(0, 1)))
        for each in indices
    }


def _record_bundle(old: OldVersion, bundle: str, settings: Path) -> list[Exchange]:
    with old.serving(bundle, settings) as url:
        return [_record(url, request) for request in list_requests()]


def _record(url: str, request: Request) -> Exchange:
    answer = send_until_covered(url, request)
    click.echo(f"{request.name} {answer.rerank_status} {answer.ids[:5]}")
    return Exchange(*request, answer, _read_fused(url, request, answer))


def _read_fused(url: str, request: Request, answer: Answer) -> dict[str, float]:
    """Return the fused values of a whole window, by id, if that search shows them."""
    if not (request.target.endswith("/_search") and "execution=sidecar" in answer.rerank_status):
        return {}
    given = request.body.get("ext", {}).get("rerank", {})
    body = request.body | {"ext": {"rerank": given | {"score": "fused"}}, "from": 0, "size": 60}
    found = _send(url, request._replace(body=body))
    return {name: score for name, score in zip(found.ids, found.scores, strict=True) if score is not None}


def send_until_covered(url: str, request: Request) -> Answer:
    """Send a request, again if need be: the first search under a name only counts how far it is covered."""
    answers: list[Answer] = []

    def is_covered() -> bool:
        answers.append(_send(url, request))
        return "reason=coverage" not in answers[-1].rerank_status

    until(is_covered, "a search of a covered index")
    return answers[-1]


def _send(url: str, request: Request) -> Answer:
    headers = {"Content-Type": "application/json"}
    got = ask(url, request.method, request.target, encode_body(request.body), headers)
    return read_answer(got.status, got.rerank_status, json.loads(got.body))


def _is_ready(url: str) -> bool:
    try:
        return ask(url, "GET", "/_plugins/_rerank/health").status == 200
    except OSError:
        return False


if __name__ == "__main__":
    main()
