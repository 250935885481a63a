"""Information about OpenSearch's nodes, with the proxy's address in place of their own."""

import logging

from plugin.http.messages import Request, Response
from plugin.passthrough.forward import forward_request
from plugin.passthrough.publish_address import AUTO, UNCHANGED, asks_for_nodes, replace_addresses
from plugin.upstream.client import Upstream

_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host")
"""Headers of a server in between, which may have changed `Host`."""

_log = logging.getLogger("twinrank")


class NodesHandler:
    """Answers clients that ask for the nodes' addresses.

    Args:
        upstream: the OpenSearch.
        publish_address: AUTO, UNCHANGED, or a host and port.
    """

    def __init__(self, upstream: Upstream, publish_address: str = AUTO) -> None:
        self._upstream = upstream
        self._publish_address = publish_address
        self._is_logged = False

    def answer(self, request: Request) -> Response:
        """Answer one such request.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        address = self._choose_address(request) if asks_for_nodes(request.method, request.target) else ""
        self._log_once(request, address)
        if not address:
            return forward_request(self._upstream, request)
        return forward_request(
            self._upstream, request, lambda body: replace_addresses(body, address), keeps_coding=True
        )

    def _choose_address(self, request: Request) -> str:
        """Return the address to publish; empty if the response stays as it is."""
        if self._publish_address != AUTO:
            return "" if self._publish_address == UNCHANGED else self._publish_address
        is_direct = not any(request.header(name) for name in _FORWARDED)
        return request.asked_address if is_direct else ""

    def _log_once(self, request: Request, address: str) -> None:
        if self._is_logged:
            return
        self._is_logged = True
        client = request.header("user-agent") or "without a User-Agent"
        asked = f"a client ({client}) asked for the nodes' addresses ({request.path})"
        if address:
            _log.info("%s and got %s for each (--publish-address)", asked, address)
        else:
            _log.warning(
                "%s and got OpenSearch's own: if it sniffs, its next requests bypass the proxy, so that"
                " nothing is reranked and no document gets a vector. Turn sniffing off in the client, or"
                " start serve with --publish-address HOST:PORT",
                asked,
            )
