"""A client of OpenSearch for one run of a command."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager

from opensearch.client import OpenSearchClient
from plugin.upstream.connecting import Connecting


@contextmanager
def open_client(connecting: Connecting) -> Iterator[OpenSearchClient]:
    """Yield a client, and silence the library's own log of failed requests."""
    # Commands report failures themselves, or try again.
    logging.getLogger("opensearch").setLevel(logging.CRITICAL)
    with closing(connecting.client()) as upstream:
        yield upstream
