"""The two ways in which an evaluation searches: straight, and through a proxy."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plugin.harness.proxy_process import running_proxy
from plugin.upstream.connecting import Connecting
from plugin.upstream.search_client import SearchClient


@contextmanager
def open_clients(
    proxy: str | None, connecting: Connecting, bundle: Path
) -> Iterator[tuple[SearchClient, SearchClient]]:
    """Yield clients of OpenSearch and of a proxy, of one that runs while the block does if `proxy` is None.

    Raises:
        ProxyError: it does not start.
    """
    with (
        _open_proxy(proxy, connecting, bundle) as url,
        connecting.search_client() as straight,
        connecting.proxy_client(url) as proxied,
    ):
        yield straight, proxied


@contextmanager
def _open_proxy(url: str | None, connecting: Connecting, bundle: Path) -> Iterator[str]:
    """Yield the address of a proxy: the one that is given, or one that runs while the block does."""
    if url:
        yield url
        return
    temporary = tempfile.TemporaryDirectory(prefix="twinrank-")
    with temporary as folder, running_proxy(connecting, Path(folder), bundle=bundle) as proxy:
        yield proxy.url
