"""Several hosts behind one proxy."""

from plugin.upstream.client import Upstream


def url_of(*urls: str) -> str:
    return ",".join(urls)


def left_out(upstream: Upstream) -> list[bool]:
    return [host.is_left_out for host in upstream.hosts()]
