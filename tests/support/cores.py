"""Both cores of the proxy: what a test of clients and connections holds true of each."""

from plugin.server.client_options import ASYNC, GTHREAD

CORES = (GTHREAD, ASYNC)


def core_arguments(core: str) -> list[str]:
    """Return the arguments of `serve` that choose a core."""
    return ["--core", core]
