"""How clients are served: options of `twinrank serve`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from plugin.http.messages import is_address
from plugin.passthrough.publish_address import AUTO, UNCHANGED

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


def _checked(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if value not in (AUTO, UNCHANGED) and not is_address(value):
        raise click.BadParameter(
            f"expected {AUTO}, {UNCHANGED}, or a host and port such as search.example.com:9100,"
            f" found {value!r}"
        )
    return value


_SECONDS = click.FloatRange(min=1, max=86_400)

_OPTIONS = (
    click.option(
        "--max-head-bytes",
        type=click.IntRange(4096, 16 * 1024 * 1024),
        default=MAX_HEAD_BYTES,
        show_default=True,
        help="Longest request line and headers together; a longer head is answered 414 or 431.",
    ),
    click.option(
        "--keep-alive",
        "keep_alive_s",
        type=click.IntRange(0, 86_400),
        default=KEEP_ALIVE_S,
        show_default=True,
        metavar="SECONDS",
        help="How long an idle connection is kept, as a Keep-Alive header says; 0 closes after each answer.",
    ),
    click.option(
        "--request-timeout",
        "request_timeout_s",
        type=_SECONDS,
        default=REQUEST_TIMEOUT_S,
        show_default=True,
        metavar="SECONDS",
        help="How long a client may take to send a head, and a body up to 64 KiB; then it is answered 408.",
    ),
    click.option(
        "--stall-timeout",
        "stall_timeout_s",
        type=_SECONDS,
        default=STALL_TIMEOUT_S,
        show_default=True,
        metavar="SECONDS",
        help="Longest silence of a client within a longer body or while it takes its answer.",
    ),
    click.option(
        "--publish-address",
        default=AUTO,
        show_default=True,
        metavar="HOST:PORT",
        callback=_checked,
        help="The address that clients which sniff are told for every node. auto: the one that they asked."
        " unchanged: OpenSearch's own, so that they go past the proxy.",
    ),
)


def client_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, passed as `clients`."""

    @wraps(command)
    def with_clients(**options: Any) -> object:  # noqa: ANN401  # click's own
        chosen = {name: options.pop(name) for name in ClientOptions.__dataclass_fields__}
        return command(clients=ClientOptions(**chosen), **options)

    for option in reversed(_OPTIONS):
        with_clients = option(with_clients)
    return with_clients
