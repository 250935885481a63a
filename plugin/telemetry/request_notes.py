"""What the steps of one request leave for whoever tells of it: its stages with their times, its query texts.

A step notes without knowing who reads; where nobody does, a note costs a look at a context variable.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

MAX_QUERIES = 10
"""Query texts of one request that are noted."""


@dataclass(frozen=True)
class Stage:
    """A stage that has ended; times in nanoseconds since the epoch."""

    name: str
    started_ns: int
    ended_ns: int


@dataclass
class Notes:
    """Stages in the order of their ends, and the texts that searches are reranked by."""

    stages: list[Stage] = field(default_factory=list)
    query_texts: list[str] = field(default_factory=list)


_current: ContextVar[Notes | None] = ContextVar("twinrank_notes", default=None)


@contextmanager
def noting() -> Iterator[Notes]:
    """Collect the notes of the request that is answered inside."""
    notes = Notes()
    token = _current.set(notes)
    try:
        yield notes
    finally:
        _current.reset(token)


def note_stage(name: str, started_ns: int, ended_ns: int) -> None:
    """Note a stage that has ended."""
    notes = _current.get()
    if notes is not None:
        notes.stages.append(Stage(name, started_ns, ended_ns))


def note_query(text: str) -> None:
    """Note a text that a search is to be reranked by."""
    notes = _current.get()
    if notes is not None and len(notes.query_texts) < MAX_QUERIES:
        notes.query_texts.append(text)
