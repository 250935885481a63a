"""`twinrank serve`: the proxy under gunicorn."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from gunicorn.app.base import BaseApplication

from opensearch.setting_layers import Defaults
from plugin.bearer import BearerTokens
from plugin.http_messages import basic_credentials
from plugin.logs import log_to_stderr
from plugin.metrics import shared_between_workers, worker_ended
from plugin.model import Model
from plugin.options import bundle_option, settings_file_option, upstream_option
from plugin.runtime_folder import runtime_folder
from plugin.settings_cache import SettingsCache
from plugin.settings_poller import SettingsPoller
from plugin.sync_child import SyncChild
from plugin.upstream import Upstream
from plugin.wsgi import Proxy
from reranker.bundle import Bundle

THREADS = 32
"""Requests that one worker has in flight: slow clients hold a thread each."""


class ProxyServer(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn with our settings in place of its command line."""

    def __init__(
        self,
        upstream_url: str,
        bundles: Sequence[Bundle],
        listen: str,
        workers: int,
        defaults: Defaults,
        tokens: BearerTokens,
    ) -> None:
        self._tokens = tokens
        self._upstream_url = upstream_url
        self._bundle, *self._also = bundles
        self._defaults = defaults
        self._folder = runtime_folder("settings-1", upstream_url)
        self._options = _options(listen, workers)
        super().__init__()

    def load_config(self) -> None:
        """Hand our settings to gunicorn."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def run_beside(self, child: SyncChild) -> None:
        """Run the feed for as long as the server."""
        self.cfg.set("when_ready", lambda server: child.start())
        self.cfg.set("on_exit", lambda server: child.stop())

    def load(self) -> Proxy:
        """Make the application, in the worker: neither ONNX Runtime nor its threads survive a fork.

        `reranker.encoder` imports it when an encoder is made, so the master never has it.
        """
        upstream = Upstream(self._upstream_url)
        credentials = basic_credentials(self._upstream_url)
        poller = SettingsPoller(upstream, credentials, self._folder, self._defaults)
        settings = SettingsCache(upstream, poller, self._defaults)
        poller.start()
        return Proxy(upstream, Model.load(self._bundle, self._also), settings, self._tokens)


def _options(listen: str, workers: int) -> dict[str, Any]:
    return {
        "bind": listen,
        "workers": workers,
        "worker_class": "gthread",
        "threads": THREADS,
        "keepalive": 75,
        "proc_name": "twinrank",
        "control_socket_disable": True,
        # as long as OpenSearch takes them and longer: it shall answer what is too long, not we
        "limit_request_line": 8190,
        "limit_request_fields": 1000,
        "limit_request_field_size": 65536,
        "forwarded_allow_ips": "",  # no header of a client's changes what path it asked for
        "accesslog": None,
        "child_exit": worker_ended,
    }


@click.command()
@click.option("--listen", default="127.0.0.1:9100", show_default=True, help="Host and port to listen on.")
@upstream_option
@bundle_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=lambda: os.cpu_count() or 1,
    show_default="one a core",
    help="Worker processes.",
)
@click.option(
    "--also",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Another bundle whose vectors are written too, where a change of model asks for them.",
)
@settings_file_option
@click.option("--sync", "synced", metavar="INDEX,...", help="Run `twinrank sync --follow` beside it.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="Bearer tokens, one a line, that /v1/rerank, /v1/embeddings and their like ask for.",
)
def serve(
    listen: str,
    url: str,
    bundle_path: Path,
    workers: int,
    also: tuple[Path, ...],
    defaults: Defaults,
    synced: str | None,
    token_file: Path | None,
) -> None:
    """Stand in front of OpenSearch and rerank its searches.

    A user and password in the URL are those of the service account that follows changes of settings; each
    request is sent with its caller's own.
    """
    try:
        Upstream(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--upstream") from error
    bundles = [Bundle.open(path) for path in (bundle_path, *also)]
    if len({bundle.name for bundle in bundles}) < len(bundles):
        raise click.BadParameter("expected bundles of different names", param_hint="--also")
    tokens = BearerTokens.read(token_file) if token_file else BearerTokens()
    log_to_stderr()
    with shared_between_workers():
        server = ProxyServer(url, bundles, listen, workers, defaults, tokens)
        if synced:
            server.run_beside(SyncChild(url, synced, bundle_path))
        server.run()
