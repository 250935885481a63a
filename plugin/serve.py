"""`twinrank serve`: the proxy under gunicorn."""

import os
import ssl
from pathlib import Path
from typing import Any

import click
from gunicorn.app.base import BaseApplication

from opensearch.setting_layers import Defaults
from plugin.bearer import BearerTokens
from plugin.errors import CommandError
from plugin.http_messages import basic_credentials
from plugin.log_options import log_options
from plugin.logs import JsonGunicornLogger, log_to_stderr
from plugin.metrics import Metrics, shared_between_workers, worker_ended
from plugin.model import Model
from plugin.options import bundle_option, settings_file_option
from plugin.readiness import Readiness
from plugin.runtime_folder import runtime_folder
from plugin.settings_cache import SettingsCache
from plugin.settings_poller import SettingsPoller
from plugin.sight import LogOptions, Sight
from plugin.sync_child import SyncChild
from plugin.tracing import check_tracing, tracing_from_environment
from plugin.underscored_headers import keep_underscored
from plugin.upstream import first_url
from plugin.upstream_options import Connecting, connecting_options
from plugin.wsgi import Proxy
from reranker.bundle import Bundle

THREADS = 32
"""Requests that one worker has in flight: slow clients hold a thread each."""


class ProxyServer(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn with our settings in place of its command line."""

    def __init__(
        self,
        connecting: Connecting,
        bundle: Bundle,
        listen: str,
        workers: int,
        defaults: Defaults,
        tokens: BearerTokens,
        log: LogOptions,
        *,
        as_json: bool = False,
    ) -> None:
        self._tokens = tokens
        self._log = log
        self._connecting = connecting
        self._bundle = bundle
        self._defaults = defaults
        self._folder = runtime_folder("settings-1", connecting.urls)
        self._options = _options(listen, workers)
        if as_json:
            self._options["logger_class"] = JsonGunicornLogger
        super().__init__()

    def load_config(self) -> None:
        """Hand our settings to gunicorn."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def run_beside(self, child: SyncChild) -> None:
        """Run the feed for as long as the server."""
        self.cfg.set("when_ready", lambda server: child.start())
        self.cfg.set("on_exit", lambda server: child.stop())

    def speak_tls(self, certificate: Path, key: Path) -> None:
        """Answer over TLS 1.2 or newer alone.

        Raises:
            CommandError: the files are no certificate and its key.
        """
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
        except OSError as error:
            raise CommandError(
                f"expected a certificate (PEM, with its chain) in {certificate} and its key in {key},"
                f" found: {error}"
            ) from error
        self.cfg.set("certfile", str(certificate))
        self.cfg.set("keyfile", str(key))
        self.cfg.set("ssl_context", lambda config, default: _modern(default()))

    def load(self) -> Proxy:
        """Make the application, in the worker: neither ONNX Runtime nor its threads survive a fork.

        `reranker.encoder` imports it when an encoder is made, so the master never has it.
        """
        upstream = self._connecting.upstream()
        credentials = basic_credentials(first_url(self._connecting.urls))
        poller = SettingsPoller(upstream, credentials, self._folder, self._defaults)
        settings = SettingsCache(upstream, poller, self._defaults)
        poller.start()
        readiness = Readiness(upstream, credentials, poller)
        sight = Sight(Metrics(), self._log)
        tracing = tracing_from_environment(query_text=self._log.query_text)
        model = Model.load(self._bundle)
        return Proxy(upstream, model, settings, self._tokens, readiness, sight, tracing)


def _modern(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


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
        "header_map": "dangerous",  # lets names with an underscore come as far as `pre_request`, no further
        "pre_request": keep_underscored,
        "forwarded_allow_ips": "",  # no header of a client's changes what path it asked for
        "accesslog": None,
        "child_exit": worker_ended,
    }


@click.command()
@click.option("--listen", default="127.0.0.1:9100", show_default=True, help="Host and port to listen on.")
@connecting_options
@bundle_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=lambda: os.cpu_count() or 1,
    show_default="one a core",
    help="Worker processes.",
)
@settings_file_option
@click.option("--sync", "synced", metavar="INDEX,...", help="Run `twinrank sync --follow` beside it.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="Bearer tokens, one a line, that /v1/rerank, /v1/embeddings and their like ask for.",
)
@click.option(
    "--certfile", type=click.Path(path_type=Path), help="Answer over TLS with this certificate (PEM)."
)
@click.option("--keyfile", type=click.Path(path_type=Path), help="Its key (PEM, without a password).")
@log_options
def serve(
    listen: str,
    connecting: Connecting,
    bundle_path: Path,
    workers: int,
    defaults: Defaults,
    synced: str | None,
    token_file: Path | None,
    certfile: Path | None,
    keyfile: Path | None,
    log: LogOptions,
    log_format: str,
) -> None:
    """Stand in front of OpenSearch and rerank its searches.

    A user and password in the first URL are those of the service account that follows changes of settings;
    each request is sent with its caller's own.
    """
    if (certfile is None) != (keyfile is None):
        raise click.UsageError("expected --certfile and --keyfile together, found one of them")
    tokens = BearerTokens.read(token_file) if token_file else BearerTokens()
    check_tracing()
    as_json = log_format == "json"
    log_to_stderr(as_json=as_json)
    with shared_between_workers():
        bundle = Bundle.open(bundle_path)
        server = ProxyServer(connecting, bundle, listen, workers, defaults, tokens, log, as_json=as_json)
        if certfile and keyfile:
            server.speak_tls(certfile, keyfile)
        if synced:
            server.run_beside(SyncChild(first_url(connecting.urls), synced, bundle_path))
        server.run()
