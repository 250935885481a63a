"""What a search's target indices say about reranking, taken together."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from opensearch.settings.skip import Skip
from opensearch.settings.table import RerankSettings

MAX_RESULT_WINDOW = 10_000
"""OpenSearch's default of `index.max_result_window`."""


@dataclass(frozen=True)
class Target:
    """The indices behind one expression.

    `settings` hold for all of them, or say why there are none. `fields` names the vector fields of every
    concrete index, none if it has no settings. `pipelines` are their default search pipelines, and
    `max_result_window` and `max_rescore_window` are the smallest of theirs.
    """

    settings: RerankSettings | Skip
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pipelines: frozenset[str] = frozenset()
    max_result_window: int = MAX_RESULT_WINDOW
    max_rescore_window: int = MAX_RESULT_WINDOW

    @property
    def is_ours(self) -> bool:
        """Whether every index has settings, right or wrong: then `ext.rerank` is for the proxy."""
        return bool(self.fields) and all(self.fields.values())

    @property
    def all_fields(self) -> tuple[str, ...]:
        """The vector fields of all the indices, each once."""
        return tuple(dict.fromkeys(name for names in self.fields.values() for name in names))

    def fields_of(self, index: str | None) -> tuple[str, ...]:
        """Return the vector fields of a concrete index; of one that is new, those of the others."""
        if index is not None and ":" in index:  # of another cluster
            return ()
        known = None if index is None else self.fields.get(index)
        return self.all_fields if known is None else known
