"""Where inputs begin: the corpus in the repository, and what other suites already know to be interesting."""

import json
from pathlib import Path
from random import Random

import numpy as np

from reranker.stored_vector import ValueType, pack
from tests.fuzz.mutations import json_value, spelled
from tests.support.paths import TINY_BUNDLE
from tests.support.searches.query_examples import WITH_TEXT

CORPUS = Path(__file__).parent / "corpus"
"""A folder a target, a file an input; whatever ever broke a promise stays here."""

_SEARCHES = Path(__file__).parent.parent / "searches"
_HIT = {"_index": "books", "_id": "1", "_score": 1.5, "_source": {"a": 1, "rerank": {"vector": "QQ=="}}}
_ANSWER = {
    "took": 1, "timed_out": False, "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
    "hits": {"total": {"value": 1, "relation": "eq"}, "max_score": 1.5, "hits": [
        _HIT, {**_HIT, "_id": "2", "fields": {"rerank.vector": ["QQ"], "n": [1]}},
    ]},
}  # fmt: skip
_BULK_ANSWER = {
    "took": 1,
    "errors": False,
    "items": [{"index": {"_index": "books", "_id": "1", "status": 201}}],
}
_SETTINGS = {
    "model": "tiny", "source_fields": ["text"], "fusion": {"method": "log_linear", "weight": 2},
    "chunk": {"max_tokens": 64}, "deadline_ms": 50,
}  # fmt: skip


def corpus_of(target: str) -> dict[str, bytes]:
    """Return the corpus of a target by its file names."""
    return {file.name: file.read_bytes() for file in sorted((CORPUS / target).glob("*"))}


def seeds_of(target: str) -> list[bytes]:
    """Return what the inputs of a target are made from."""
    return [*corpus_of(target).values(), *_known(target), b""]


def _known(target: str) -> list[bytes]:
    random = Random(target)
    if target in ("search", "multi_search"):
        return _searches(as_lines=target == "multi_search")
    if target in ("bulk", "update"):
        return [
            b'{"index":{"_id":"1","routing":"r"}}\n{"text":"a"}\n{"delete":{"_id":"2"}}\n',
            b'{"update":{"_id":"1"}}\n{"doc":{"text":"a"},"doc_as_upsert":true}\n{"create":{}}\n{"n":1.10}\n',
            b'{"doc":{"text":"a","rerank":{"vector":"QQ=="}},"upsert":{"n":1}}',
            b'{"script":{"source":"x"},"scripted_upsert":true}',
        ]
    if target == "vector":
        values = np.random.default_rng(1).normal(size=(2, 8)).astype(np.float32)
        return [pack(values, text_hash=1, model_tag=7, value_type=each) for each in ValueType]
    if target == "manifest":
        return [(TINY_BUNDLE / "manifest.json").read_bytes()]
    if target == "settings":
        return [
            json.dumps(_SETTINGS).encode(),
            json.dumps({"migration": {"model": "b", "field": "c"}}).encode(),
        ]
    if target in ("filter_path", "query_strings", "headers"):
        return _LINES[target]
    answers = [
        json.dumps(each).encode() for each in (_ANSWER, _BULK_ANSWER, {"responses": [_ANSWER, _ANSWER]})
    ]
    return answers + [spelled(json_value(random), random) for _ in range(20)]


def _searches(*, as_lines: bool) -> list[bytes]:
    found = []
    for file in sorted(_SEARCHES.glob("*/request.json")):
        asked = json.loads(file.read_text())
        body = json.dumps(asked["body"]).encode() if isinstance(asked.get("body"), dict) else b""
        parameters = asked["target"].partition("?")[2].encode()
        found.append(b"{}\n" + (body or b"{}") + b"\n" if as_lines else parameters + b"\n" + body)
    for query in WITH_TEXT:
        body = json.dumps({"query": query, "ext": {"rerank": {"window_size": 5}}}).encode()
        found.append(b'{"index":"books"}\n' + body + b"\n" if as_lines else b"size=5\n" + body)
    return found


_LINES = {
    "filter_path": [
        b"hits.hits._id,took", b"-hits.hits._score,-took", b"**.a", b"a.*.c", rb"fields.rerank\.vector",
    ],
    "query_strings": [
        b'title:(wait AND "a bit"~2) NOT x^2 [a TO b] /re/ wai* -no', b'+"a b"~1 | -c (d e)*', b"a\\:b",
        b'*a b* **c** *d*e* -*f*g* *"h i"* n:*j* k\\* *?*',
    ],
    "headers": [
        b"applied=1; skipped=2; items=0:applied,1-2:sort", b"plan;dur=0.11, total;dur=4.3",
        b"documents=3; encoded=1; repaired=0; left=0", b"skipped; reason=sort",
        b"o463QQEFYm9va3MWQUFBQUFBQUFBQUFBQUFBQUFBAAZub2RlAAAAAAAAAAABA2lkAA==",
    ],
}  # fmt: skip
