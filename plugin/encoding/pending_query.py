"""A search's query while it is encoded, by one bundle or by several."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from plugin.encoding.query_future import QueryFuture, await_vector
from plugin.errors import RerankFailedError
from reranker.arrays import Floats


@dataclass(frozen=True)
class PendingQuery:
    """What is awaited of each bundle, by its name: empty for the proxy's own; None was not even started."""

    futures: Mapping[str, QueryFuture | None]

    def await_all(self, timeout_s: float) -> dict[str, Floats]:
        """Return the (dim,) float32 vector of each bundle; wait up to `timeout_s` for all of them.

        Raises:
            RerankFailedError: one is missing, as `await_vector`; nobody waits for the others then.
        """
        ends_s, found = time.monotonic() + timeout_s, dict[str, Floats]()
        for bundle, future in self.futures.items():
            try:
                found[bundle] = await_vector(future, ends_s - time.monotonic())
            except RerankFailedError:
                self.leave(but=bundle)
                raise
        return found

    def leave(self, but: str | None = None) -> None:
        """Stop waiting, except for what is known to have failed."""
        for bundle, future in self.futures.items():
            if bundle != but and future is not None:
                future.leave()
