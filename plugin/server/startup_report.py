"""What a proxy serves: one block in the log at its start, with page, model, OpenSearch and indices."""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from opensearch.settings.layers import Defaults, apply_defaults
from opensearch.settings.table import RerankSettings
from opensearch.settings.target import IndexRecord, find_problem, read_records, settings_target
from opensearch.settings.validation import parse_settings
from plugin.errors import UpstreamError
from plugin.http.headers import Headers
from plugin.upstream.client import Upstream
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle

MAX_INDICES = 10
"""Indices that are named, each of which costs OpenSearch two counts."""

PAGE = "/_plugins/_rerank/"
"""The path of the page for people."""

_JSON: Headers = (("Content-Type", "application/json"),)

_log = logging.getLogger("twinrank")


class _Version(msgspec.Struct):
    number: str


class _Cluster(msgspec.Struct):
    version: _Version
    cluster_name: str = ""


class _Counted(msgspec.Struct):
    count: int


_CLUSTER = msgspec.json.Decoder(_Cluster)
_COUNTED = msgspec.json.Decoder(_Counted)


class _RefusedError(Exception):
    """OpenSearch answered with another status than 200; the message says which."""


@dataclass(frozen=True)
class StartupReport:
    """Describes one proxy. `urls` are those that it answers at."""

    connecting: Connecting
    bundle: Bundle
    defaults: Defaults
    urls: Sequence[str]

    def log_soon(self) -> None:
        """Log it from a thread of its own, so that no search waits for it."""
        threading.Thread(target=self._log, name="startup-report", daemon=True).start()

    def _log(self) -> None:
        lines = (f"  {name:<11}{text}" for name, text in self.describe())
        _log.info("Twinrank serves\n%s", "\n".join(lines))

    def describe(self) -> Iterator[tuple[str, str]]:
        """Yield each line's name and text. Asks OpenSearch as the service account."""
        yield "page", ", ".join(f"{url}{PAGE}" for url in self.urls)
        yield "model", f"{self.bundle.name} (digest {self.bundle.manifest.digest[:12]})"
        with closing(self.connecting.upstream()) as upstream:
            asking = _Asking(upstream, self.connecting.credentials)
            try:
                cluster = asking.describe_cluster()
            except (UpstreamError, _RefusedError, ValueError) as error:
                yield "OpenSearch", str(error)
                return
            yield "OpenSearch", f"{', '.join(host.url for host in upstream.hosts())}: {cluster}"
            try:
                records = asking.read_indices()
            except (UpstreamError, _RefusedError, ValueError) as error:
                yield "indices", str(error)
            else:
                yield from self._describe_indices(asking, records)

    def _describe_indices(
        self, asking: "_Asking", records: Mapping[str, IndexRecord]
    ) -> Iterator[tuple[str, str]]:
        known = {name: each for name, each in sorted(records.items()) if each.rerank or each.is_overwritten}
        if not known:
            yield "indices", "none is enabled: twinrank enable INDEX --field FIELD"
        for number, (name, record) in enumerate(known.items()):
            if number == MAX_INDICES:
                yield "", f"and {len(known) - MAX_INDICES} more: twinrank status INDEX"
                return
            yield "" if number else "indices", f"{name}: {self._describe_index(asking, name, record)}"

    def _describe_index(self, asking: "_Asking", name: str, record: IndexRecord) -> str:
        problem = find_problem(record, self.defaults)
        if problem is not None:
            return f"not reranked, its settings are wrong: {problem}"
        settings = parse_settings(apply_defaults(self.defaults, record.rerank))
        if not settings.enabled:
            return f"not reranked, disabled: twinrank enable {name}"
        if settings.model != self.bundle.vectors_of:
            return f"not reranked, its vectors are of {settings.model}: --bundle, or twinrank migrate {name}"
        try:
            return asking.describe_coverage(name, settings)
        except (UpstreamError, _RefusedError, ValueError) as error:
            return f"reranked, coverage unknown: {error}"


def round_down(part: int, whole: int) -> float:
    """Return how many per cent a part is, rounded down to one digit, so that 100 % means all of it."""
    return 1000 * part // whole / 10 if whole else 100.0


@dataclass(frozen=True)
class _Asking:
    """Asks OpenSearch as one account."""

    upstream: Upstream
    headers: Headers

    def describe_cluster(self) -> str:
        cluster = _CLUSTER.decode(self._request("GET", "/"))
        return f"version {cluster.version.number}, cluster {cluster.cluster_name}"

    def read_indices(self) -> dict[str, IndexRecord]:
        return read_records(self._request("GET", settings_target("*", {"expand_wildcards": "open,hidden"})))

    def describe_coverage(self, index: str, settings: RerankSettings) -> str:
        documents = self._count(index, {"match_all": {}})
        with_vector = self._count(index, {"exists": {"field": settings.field}})
        return (
            f"{with_vector:,} of {documents:,} documents have vectors"
            f" ({round_down(with_vector, documents):g} %)"
        )

    def _count(self, index: str, query: dict[str, Any]) -> int:
        body = msgspec.json.encode({"query": query})
        answer = self._request("POST", f"/{quote(index, safe='')}/_count", body)
        return _COUNTED.decode(answer).count

    def _request(self, method: str, target: str, body: bytes = b"") -> bytes:
        headers = (*self.headers, *_JSON) if body else self.headers
        answer = self.upstream.exchange(method, target, headers, body)
        if answer.status in (401, 403):
            raise _RefusedError(
                f"its answer is {answer.status}, so settings are read as each search's caller."
                " --user NAME gives the proxy an account of its own"
            )
        if answer.status != 200:
            raise _RefusedError(f"its answer to {method} {target.partition('?')[0]} is {answer.status}")
        return answer.body


def make_urls(addresses: Sequence[Any], *, is_tls: bool) -> list[str]:
    """Return the URL of each address that sockets are bound to: a path, or a host and a port first.

    An address that stands for all of this machine's becomes the loopback one.
    """
    return [_make_url(address, "https" if is_tls else "http") for address in addresses]


def _make_url(address: Any, scheme: str) -> str:  # noqa: ANN401  # as sockets have it
    if not isinstance(address, tuple):
        return f"unix:{address}:"
    host, port = str(address[0]), int(address[1])
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"{scheme}://[{reached}]:{port}" if ":" in reached else f"{scheme}://{reached}:{port}"
