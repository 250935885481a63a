"""`twinrank serve`."""

import os
from pathlib import Path

import click

from plugin.commands.temporary_folder import check_temporary_folder
from plugin.harness.proxy_process import DEFAULT_PORT
from plugin.http.listen_address import ListenAddress, ListenType
from plugin.options.common import bundle_option, combiner_option, find_bundle_folder
from plugin.options.serve import client_options, log_options, ubi_options
from plugin.options.upstream import connecting_options
from plugin.server.client_options import ClientOptions
from plugin.server.sync_process import SyncProcess
from plugin.telemetry.logs import log_to_stderr
from plugin.telemetry.metrics import share_between_workers
from plugin.telemetry.search_log import LogOptions
from plugin.telemetry.tracing import check_tracing
from plugin.ubi.record import RecordingOptions
from plugin.upstream.connecting import Connecting


@click.command("serve")
@click.option(
    "--listen",
    type=ListenType(DEFAULT_PORT),
    default=f"127.0.0.1:{DEFAULT_PORT}",
    show_default=True,
    metavar="HOST:PORT",
    help="Address to listen on. PORT alone: this machine only. :PORT: all addresses. Or unix:PATH.",
)
@connecting_options
@bundle_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=lambda: os.cpu_count() or 1,
    show_default="one per core",
    help="Worker processes.",
)
@click.option(
    "--also",
    type=find_bundle_folder,
    metavar="FOLDER",
    multiple=True,
    help="Another bundle whose vectors are also written, during a migration. Repeatable.",
)
@combiner_option
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="JSON with the server's defaults, in the form of `_meta.rerank`.",
)
@click.option("--sync", "synced", metavar="INDEX,...", help="Also run `twinrank sync --follow`.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="File of bearer tokens, one per line, for /v1/rerank, /v1/embeddings and similar endpoints.",
)
@click.option(
    "--certfile", type=click.Path(path_type=Path), help="Answer over TLS with this certificate (PEM)."
)
@click.option("--keyfile", type=click.Path(path_type=Path), help="Its key (PEM, without a password).")
@client_options
@log_options
@ubi_options
def serve_command(
    listen: ListenAddress,
    connecting: Connecting,
    bundle_path: Path,
    workers: int,
    also: tuple[Path, ...],
    combiners: tuple[Path, ...],
    settings_file: Path | None,
    synced: str | None,
    token_file: Path | None,
    certfile: Path | None,
    keyfile: Path | None,
    clients: ClientOptions,
    log: LogOptions,
    log_format: str,
    recording: RecordingOptions,
) -> None:
    """Run the proxy in front of OpenSearch.

    --user, or the user in the first URL, is the service account that follows changes of settings. Each
    request is sent with its caller's own credentials. SIGTERM stops the proxy once every request is answered.
    SIGHUP reloads bundle, combiners, settings, tokens and the password file.
    """
    if (certfile is None) != (keyfile is None):
        raise click.UsageError("expected --certfile and --keyfile together, found one of them")
    check_temporary_folder()
    check_tracing()
    address = listen.resolved()
    address.check_free()
    as_json = log_format == "json"
    log_to_stderr(as_json=as_json)
    # imported here, since it takes half a second, and wrong options are reported without it
    from plugin.server.gunicorn_app import Files, ProxyServer

    files = Files(bundle_path, settings_file, token_file, also, combiners)
    with share_between_workers():
        server = ProxyServer(
            connecting, files, str(address), workers, log, clients, recording, as_json=as_json
        )
        if certfile and keyfile:
            server.speak_tls(certfile, keyfile)
        if synced:
            server.run_beside(SyncProcess(connecting, synced, bundle_path))
        server.run()
