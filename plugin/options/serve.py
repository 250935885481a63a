"""Options of `twinrank serve` alone: how clients are served, and what is logged."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from plugin.http.headers import is_address
from plugin.passthrough.publish_address import AUTO, UNCHANGED
from plugin.server.client_options import (
    ASYNC,
    GTHREAD,
    KEEP_ALIVE_S,
    MAX_HEAD_BYTES,
    REQUEST_TIMEOUT_S,
    STALL_TIMEOUT_S,
    ClientOptions,
)
from plugin.telemetry.search_log import SLOW_MS, LogOptions
from plugin.ubi.record import RecordingOptions

MIN_KEY_BYTES = 16
"""A shorter key could be guessed, and client ids with it."""


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
    click.option(
        "--core",
        type=click.Choice([GTHREAD, ASYNC]),
        default=ASYNC,
        show_default=True,
        help="How connections are served. async: by an event loop, which also answers searches and passes on"
        " what is not changed. gthread: by threads.",
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


def _check_sink(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    parts = urlsplit(value or "http://none")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.BadParameter(f"expected a URL such as http://10.0.0.5:2021/log/ingest, found {value!r}")
    return value


_UBI_OPTIONS = (
    click.option(
        "--ubi",
        "ubi",
        type=click.Choice(["on", "no-text", "off"]),
        default="on",
        show_default=True,
        help="Record searches with ext.ubi in ubi_queries. no-text: without what users typed and the search's"
        " body. off: leave ext.ubi to OpenSearch.",
    ),
    click.option(
        "--hash-client-ids",
        "client_key_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=f"Record client ids as HMAC-SHA256 with the key in this file, at least {MIN_KEY_BYTES} bytes.",
    ),
    click.option(
        "--ubi-sink",
        "sink",
        metavar="URL",
        callback=_check_sink,
        help="Send the records to the http source of this Data Prepper instead.",
    ),
)


def ubi_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, passed and checked as `recording`."""

    @wraps(command)
    def with_recording(
        *, ubi: str, client_key_file: Path | None, sink: str | None, **others: object
    ) -> object:
        key = None if client_key_file is None else _read_key(client_key_file)
        return command(recording=RecordingOptions(ubi != "off", ubi == "on", key, sink), **others)

    for option in reversed(_UBI_OPTIONS):
        with_recording = option(with_recording)
    return with_recording


def _read_key(file: Path) -> bytes:
    """Return the key for client ids.

    Raises:
        click.UsageError: there is none, or it is too short to be a secret.
    """
    try:
        key = file.read_bytes().strip()
    except OSError as error:
        raise click.UsageError(f"--hash-client-ids: expected a file with the key, found: {error}") from error
    if len(key) < MIN_KEY_BYTES:
        raise click.UsageError(
            f"--hash-client-ids: expected at least {MIN_KEY_BYTES} bytes in {file}, found {len(key)}."
            " Make one with: openssl rand -hex 32"
        )
    return key


def log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, passed as `log` and `log_format`."""

    @wraps(command)
    def with_log(*, slow_ms: float, log_queries: bool, **others: object) -> object:
        return command(log=LogOptions(slow_ms, log_queries), **others)

    for option in reversed(_LOG_OPTIONS):
        with_log = option(with_log)
    return with_log
