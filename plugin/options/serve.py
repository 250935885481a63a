"""Options of `twinrank serve` alone: how clients are served, and what is logged."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from plugin.http.headers import is_address
from plugin.passthrough.publish_address import AUTO, UNCHANGED
from plugin.server.client_options import (
    KEEP_ALIVE_S,
    MAX_HEAD_BYTES,
    REQUEST_TIMEOUT_S,
    STALL_TIMEOUT_S,
    ClientOptions,
)
from plugin.telemetry.search_log import SLOW_MS, LogOptions


def _check_address(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if value not in (AUTO, UNCHANGED) and not is_address(value):
        raise click.BadParameter(
            f"expected {AUTO}, {UNCHANGED}, or a host and port such as search.example.com:9100,"
            f" found {value!r}"
        )
    return value


_SECONDS = click.FloatRange(min=1, max=86_400)

_CLIENT_OPTIONS = (
    click.option(
        "--max-head-bytes",
        type=click.IntRange(4096, 16 * 1024 * 1024),
        default=MAX_HEAD_BYTES,
        show_default=True,
        help="Longest request line and headers together; a longer head gets 414 or 431.",
    ),
    click.option(
        "--keep-alive",
        "keep_alive_s",
        type=click.IntRange(0, 86_400),
        default=KEEP_ALIVE_S,
        show_default=True,
        metavar="SECONDS",
        help="How long an idle connection is kept, as its Keep-Alive header says; 0: not at all.",
    ),
    click.option(
        "--request-timeout",
        "request_timeout_s",
        type=_SECONDS,
        default=REQUEST_TIMEOUT_S,
        show_default=True,
        metavar="SECONDS",
        help="How long a client may take to send a head, and a body up to 64 KiB; then it gets 408.",
    ),
    click.option(
        "--stall-timeout",
        "stall_timeout_s",
        type=_SECONDS,
        default=STALL_TIMEOUT_S,
        show_default=True,
        metavar="SECONDS",
        help="Longest silence of a client while it sends a longer body or reads its answer.",
    ),
    click.option(
        "--publish-address",
        default=AUTO,
        show_default=True,
        metavar="HOST:PORT",
        callback=_check_address,
        help="Node address given to clients that sniff. auto: the address that they asked. unchanged:"
        " OpenSearch's own, so that they bypass the proxy.",
    ),
)


def client_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, passed as `clients`."""

    @wraps(command)
    def with_clients(**options: Any) -> object:  # noqa: ANN401  # click's own
        chosen = {name: options.pop(name) for name in ClientOptions.__dataclass_fields__}
        return command(clients=ClientOptions(**chosen), **options)

    for option in reversed(_CLIENT_OPTIONS):
        with_clients = option(with_clients)
    return with_clients


_LOG_OPTIONS = (
    click.option(
        "--slow-ms",
        type=click.FloatRange(min=0),
        default=SLOW_MS,
        show_default=True,
        help="Log slower searches as slow_search, a warning.",
    ),
    click.option(
        "--log-queries", is_flag=True, help="Log the query text of each search. It may be personal data."
    ),
    click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="Format of log lines other than those of searches, which are always JSON.",
    ),
)


def log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, passed as `log` and `log_format`."""

    @wraps(command)
    def with_log(*, slow_ms: float, log_queries: bool, **others: object) -> object:
        return command(log=LogOptions(slow_ms, log_queries), **others)

    for option in reversed(_LOG_OPTIONS):
        with_log = option(with_log)
    return with_log
