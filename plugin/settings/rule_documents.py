"""The documents of `rules_from`: read when a search needs them, and followed as settings are.

A document is asked for again at most once a second, beside the searches; one whose `_seq_no` is the same is
not read again. The service account reads it if there is one, else each caller.
"""

import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from cachetools import LRUCache

from opensearch.rawjson.validation import InvalidError
from opensearch.settings.rules import MAX_DOCUMENT_BYTES, RuleSettings, document_path, parse_rule_list
from opensearch.settings.target import Target
from plugin.http.headers import Headers
from plugin.upstream.client import Upstream

FRESH_S = 1.0
"""An entry younger than this is used as it is; an older one is used once more while it is fetched again."""

STALE_S = 30.0
"""An entry older than this is not used: the search waits for the new one."""

MAX_DOCUMENTS = 1_000
MAX_TARGETS = 1_000

MISSING, INVALID, DENIED, UNREADABLE = "missing", "invalid", "denied", "unreadable"
"""Why a document has no rules, as `Rerank-Status` says it."""

_log = logging.getLogger("twinrank.settings")


class _Document(msgspec.Struct):
    found: bool = True
    seq_no: int = msgspec.field(name="_seq_no", default=-1)
    primary_term: int = msgspec.field(name="_primary_term", default=-1)
    source: Any = msgspec.field(name="_source", default=None)


_DOCUMENT = msgspec.json.Decoder(_Document)


@dataclass(frozen=True, eq=False)
class DocumentRules:
    """One reading of a document; `problem` says in a word why there are no rules, empty if there is none."""

    rules: tuple[RuleSettings, ...] = ()
    problem: str = ""
    version: tuple[int, int] | None = None


@dataclass
class _Entry:
    rules: DocumentRules
    fetched_s: float
    is_refreshing: bool = False


@dataclass(frozen=True)
class _Completed:
    target: Target
    documents: tuple[DocumentRules, ...]
    result: Target = field(repr=False)


class RuleDocuments:
    """Reads the documents that targets name, and adds their rules."""

    def __init__(self, upstream: Upstream, refresher: ThreadPoolExecutor, clock: Callable[[], float]) -> None:
        self._upstream, self._refresher, self._clock = upstream, refresher, clock
        self._entries: LRUCache[tuple[str, Headers], _Entry] = LRUCache(MAX_DOCUMENTS)
        self._completed: LRUCache[int, _Completed] = LRUCache(MAX_TARGETS)
        self._lock = threading.Lock()

    def complete(self, target: Target, caller: Headers, client: socket.socket | None = None) -> Target:
        """Return a target with the rules of its documents after its own.

        The same documents give the same object, so that its rules are made ready once.

        Args:
            target: one that names documents.
            caller: the headers that OpenSearch is asked with.
            client: the client's connection.

        Raises:
            UpstreamError: there is no usable entry and OpenSearch cannot be asked.
        """
        named = dict.fromkeys(target.rule_documents.values())
        found = {name: self._find((name, caller), client) for name in named}
        documents = tuple(found.values())
        with self._lock:
            kept = self._completed.get(id(target))
        if kept is not None and kept.target is target and kept.documents == documents:
            return kept.result
        rules = {
            name: (
                *target.rules.get(name, ()),
                *(found[target.rule_documents[name]].rules if name in target.rule_documents else ()),
            )
            for name in {**target.rules, **target.rule_documents}
        }
        holding = target.holding_document
        result = replace(
            target,
            rules={name: each for name, each in rules.items() if each},
            holding_rules=(*target.holding_rules, *(found[holding].rules if holding in found else ())),
            rule_problem=next((each.problem for each in documents if each.problem), ""),
        )
        with self._lock:
            self._completed[id(target)] = _Completed(target, documents, result)
        return result

    def _find(self, key: tuple[str, Headers], client: socket.socket | None) -> DocumentRules:
        with self._lock:
            entry = self._entries.get(key)
        age_s = STALE_S if entry is None else self._clock() - entry.fetched_s
        if entry is None or age_s >= STALE_S:
            return self._fetch(key, client)
        if age_s >= FRESH_S:
            self._refresh(key, entry)
        return entry.rules

    def _refresh(self, key: tuple[str, Headers], entry: _Entry) -> None:
        with self._lock:
            if entry.is_refreshing:
                return
            entry.is_refreshing = True
        self._refresher.submit(self._fetch, key)

    def _fetch(self, key: tuple[str, Headers], client: socket.socket | None = None) -> DocumentRules:
        name, headers = key
        started_s = self._clock()
        with self._lock:
            before = self._entries.get(key)
        exchange = self._upstream.exchange("GET", document_path(name), headers, client=client)
        known = None if before is None else before.rules
        found = _read(name, exchange.status, exchange.body, known)
        if found.problem and (known is None or known.problem != found.problem):
            _log.error("no rules are read from %s: it is %s", name, found.problem)
        with self._lock:
            self._entries[key] = _Entry(found, started_s)
        return found


def _read(name: str, status: int | None, body: bytes, known: DocumentRules | None) -> DocumentRules:
    """Return what OpenSearch's answer says; `known` if it is the same version, or no answer about it."""
    if status in (401, 403):
        return DocumentRules(problem=DENIED)
    if status not in (200, 404):
        return known or DocumentRules(problem=UNREADABLE)
    if len(body) > MAX_DOCUMENT_BYTES:
        return DocumentRules(problem=INVALID)
    try:
        answer = _DOCUMENT.decode(body)
        if status == 404 or not answer.found:
            return DocumentRules(problem=MISSING)
        version = answer.seq_no, answer.primary_term
        if known is not None and known.version == version:
            return known
        return DocumentRules(parse_rule_list(answer.source, name), version=version)
    except InvalidError as error:
        _log.error("no rules are read from %s: %s", name, error)
        return DocumentRules(problem=INVALID)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return DocumentRules(problem=MISSING if status == 404 else INVALID)
