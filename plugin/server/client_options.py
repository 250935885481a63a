"""How clients are served: limits and timeouts, and the address that they are told."""

from dataclasses import dataclass

from plugin.passthrough.publish_address import AUTO

MAX_HEAD_BYTES = 64 * 1024
"""Request line and headers together. OpenSearch takes 4 KB and 16 KB unless it is set to take more."""

KEEP_ALIVE_S = 300
"""How long an idle connection is kept. Go's client closes its own after 90 s, .NET's after 60 or 120 s, and
load balancers after 60 to 240 s. A server must keep it longer, or a request meets a closed connection."""

REQUEST_TIMEOUT_S = 60.0
"""How long a client may take to send its head, and a body that is collected before it is answered."""

STALL_TIMEOUT_S = 30.0
"""How long a client may neither send more of a longer body nor take more of its answer."""


@dataclass(frozen=True)
class ClientOptions:
    """What the options say. `publish_address` is AUTO, UNCHANGED, or a host and port."""

    max_head_bytes: int = MAX_HEAD_BYTES
    keep_alive_s: int = KEEP_ALIVE_S
    request_timeout_s: float = REQUEST_TIMEOUT_S
    stall_timeout_s: float = STALL_TIMEOUT_S
    publish_address: str = AUTO
