"""One write of one document: its own request, or lines of a bulk."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_CONFLICT_RULES = ("retry_on_conflict", "if_seq_no", "if_primary_term", "version", "version_type")


@dataclass(frozen=True)
class Lock:
    """The version that a document must have for a write to happen: `if_seq_no` and `if_primary_term`."""

    seq_no: int
    primary_term: int


@dataclass(frozen=True)
class Operation:
    """One of `index`, `create`, `update` and `delete`.

    `parameters` are those of the line over those of the URL; numbers are text. `line` is the action line
    with its line break, empty for a request of its own. `source` is the document or the update's body as it
    came, None if there is none or it is too long to be read.
    """

    action: str
    parameters: Mapping[str, Any]
    line: bytes = b""
    source: bytes | None = None

    @property
    def index(self) -> str:
        """The name that is written to: an index, an alias or a data stream; empty if none is given."""
        return self._read_text("_index") or ""

    @property
    def id(self) -> str | None:
        """The document's id; None if OpenSearch chooses it."""
        return self._read_text("_id") or None

    @property
    def routing(self) -> str | None:
        """The routing that the client gives."""
        return self._read_text("routing")

    @property
    def pipeline(self) -> str | None:
        """The ingest pipeline that the client names; `_none` if it wants none."""
        return self._read_text("pipeline")

    @property
    def lock(self) -> Lock | None:
        """The client's own lock; one that is no number never holds."""
        seq_no, term = self._read_text("if_seq_no"), self._read_text("if_primary_term")
        if seq_no is None and term is None:
            return None
        is_number = (seq_no or "").isdecimal() and (term or "").isdecimal()
        return Lock(int(seq_no or 0), int(term or 0)) if is_number else Lock(-1, -1)

    @property
    def has_external_version(self) -> bool:
        """Whether the client counts the document's versions itself."""
        return (self._read_text("version_type") or "").startswith("external")

    def build_locked_line(self, lock: Lock) -> bytes:
        """Return the action line with a lock; OpenSearch accepts no `retry_on_conflict` beside one."""
        parameters = _parse_action_line(self.line)[1]
        parameters.pop("retry_on_conflict", None)
        locked = parameters | {"if_seq_no": lock.seq_no, "if_primary_term": lock.primary_term}
        return json.dumps({self.action: locked}).encode() + b"\n"

    def build_retried_line(self, retries: int) -> bytes:
        """Return an update's action line with `retry_on_conflict`; the client's own if it sets a rule."""
        if self.action != "update" or any(name in self.parameters for name in _CONFLICT_RULES):
            return self.line
        parameters = _parse_action_line(self.line)[1] | {"retry_on_conflict": retries}
        return json.dumps({self.action: parameters}).encode() + b"\n"

    def _read_text(self, name: str) -> str | None:
        value = self.parameters.get(name)
        return str(value).lower() if isinstance(value, bool) else None if value is None else str(value)


def parse_action(line: bytes, defaults: Mapping[str, str]) -> Operation | None:
    """Read an action line of a bulk; return None if it is not understood.

    `defaults` are the parameters of the URL, which apply if the line does not set them.
    """
    try:
        action, given = _parse_action_line(line)
    except (ValueError, RecursionError):
        return None
    return Operation(action, {**defaults, **given}, line)


def _parse_action_line(line: bytes) -> tuple[str, dict[str, Any]]:
    """Return an action and its parameters; numbers as they are written.

    Raises:
        ValueError: no object with one action of OpenSearch's.
    """
    content = json.loads(line, parse_int=str, parse_float=str)
    if not isinstance(content, dict) or len(content) != 1:
        raise ValueError("expected one action")
    [(action, given)] = content.items()
    if action not in ("index", "create", "update", "delete") or not isinstance(given, dict):
        raise ValueError("expected index, create, update or delete")
    return action, given
