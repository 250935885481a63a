"""How many documents have text and no vector: counted by OpenSearch now and then, and at the end of a run."""

import time
from collections.abc import Sequence
from contextlib import suppress

from indexer.sync.followed import Followed
from indexer.sync.shard_pass import Run
from opensearch.errors import DeniedError, RequestError
from opensearch.fields import stored_vectors
from opensearch.index import metadata

COUNT_S = 10.0
"""The interval during a run; each time takes two counts an index."""


class MissingCount:
    """Counts for one run, into its summary."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._counted_s: float | None = None

    def count_now_and_then(self, wanted: Sequence[Followed]) -> None:
        """Count if the last count is old. What was written since the last refresh is not included."""
        if self._counted_s is None or time.monotonic() - self._counted_s > COUNT_S:
            self._count(wanted)

    def count_at_end(self, wanted: Sequence[Followed]) -> None:
        """Make what was written searchable, as far as that is allowed, and count."""
        if self._run.summary.written:
            for one in wanted:
                with suppress(DeniedError):
                    metadata.refresh(self._run.upstream, one.index.name)
        self._count(wanted)

    def _count(self, wanted: Sequence[Followed]) -> None:
        """Count; a failure leaves no figure, and does not end the run."""
        self._counted_s = time.monotonic()
        self._run.summary.missing = None
        with suppress(RequestError):
            self._run.summary.missing = sum(
                stored_vectors.count_missing(self._run.upstream, one.index, one.filled_settings)
                for one in wanted
            )
