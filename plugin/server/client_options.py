"""How clients are served: limits and timeouts, and the address that sniffing clients get."""

from dataclasses import dataclass

from plugin.passthrough.publish_address import AUTO

MAX_HEAD_BYTES = 64 * 1024
"""Request line and headers together. OpenSearch's own defaults are 4 KB and 16 KB."""

KEEP_ALIVE_S = 300
"""How long an idle connection is kept. Go's client closes it after 90 s, .NET's after 60 or 120 s, and load
balancers after 60 to 240 s. A server must keep it longer, or a request meets a closed connection."""

REQUEST_TIMEOUT_S = 60.0
"""How long a client may take to send its head, and a body that is buffered before it is answered."""

STALL_TIMEOUT_S = 30.0
"""How long a client may pause while it sends a longer body or reads its answer."""

GTHREAD = "gthread"
"""The core with threads alone."""

ASYNC = "async"
"""The core with an event loop."""


@dataclass(frozen=True)
class ClientOptions:
    """The options. `publish_address` is AUTO, UNCHANGED, or a host and port; `core` GTHREAD or ASYNC."""

    max_head_bytes: int = MAX_HEAD_BYTES
    keep_alive_s: int = KEEP_ALIVE_S
    request_timeout_s: float = REQUEST_TIMEOUT_S
    stall_timeout_s: float = STALL_TIMEOUT_S
    publish_address: str = AUTO
    core: str = ASYNC
