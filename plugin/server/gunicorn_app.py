"""`twinrank serve`: the proxy under gunicorn."""

import os
import resource
import ssl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from gunicorn.app.base import BaseApplication

from opensearch.settings.layers import Defaults
from plugin.admin.readiness import Readiness
from plugin.apis.tokens import BearerTokens
from plugin.commands.log_options import log_options
from plugin.commands.options import bundle_folder, bundle_option, read_defaults
from plugin.commands.upstream_options import connecting_options
from plugin.encoding.model import Model
from plugin.errors import CommandError
from plugin.harness.proxy_process import DEFAULT_PORT
from plugin.http.listen_address import ListenAddress, ListenType
from plugin.http.underscored_headers import keep_underscored
from plugin.proxy import Proxy
from plugin.search.page_table import PageTable
from plugin.server.arbiter import PatientArbiter
from plugin.server.client_options import ClientOptions, client_options
from plugin.server.keep_alive import GRACE_S
from plugin.server.runtime_folder import runtime_folder
from plugin.server.sync_process import SyncChild
from plugin.settings.cache import SettingsCache
from plugin.settings.poller import SettingsPoller
from plugin.telemetry.logs import JsonGunicornLogger, log_to_stderr
from plugin.telemetry.metrics import Metrics, shared_between_workers, worker_ended
from plugin.telemetry.search_log import LogOptions, Sight
from plugin.telemetry.tracing import check_tracing, tracing_from_environment
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle

THREADS = 32
"""Requests that one worker answers at once."""

MAX_CONNECTIONS = 4096
"""Connections that one worker holds, where the limit of open files is at least twice that."""

CHECK_S = 120.0


class ReloadError(CommandError):
    """What is configured now cannot be used."""


@dataclass(frozen=True)
class Files:
    """Where a proxy reads what it may read anew while it runs."""

    bundle: Path
    settings: Path | None = None
    tokens: Path | None = None
    also: tuple[Path, ...] = ()

    def others(self, bundle: Bundle) -> list[Bundle]:
        """Return the bundles whose vectors are written too.

        Raises:
            BundleError: one of them cannot be used.
            click.BadParameter: two bundles make vectors of one model.
        """
        others = [Bundle.open(path) for path in self.also]
        if len({each.vectors_of for each in (bundle, *others)}) <= len(others):
            raise click.BadParameter("expected bundles of different models", param_hint="--also")
        return others

    def read(self) -> tuple[Bundle, Defaults, BearerTokens]:
        """Read all of them.

        Raises:
            BundleError, click.BadParameter, CommandError: one of them cannot be used.
        """
        tokens = BearerTokens.read(self.tokens) if self.tokens else BearerTokens()
        return Bundle.open(self.bundle), read_defaults(self.settings), tokens


class ProxyServer(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn with our settings in place of its command line."""

    def __init__(
        self,
        connecting: Connecting,
        files: Files,
        listen: str,
        workers: int,
        log: LogOptions,
        clients: ClientOptions,
        *,
        as_json: bool = False,
    ) -> None:
        self._log = log
        self.clients = clients
        self._connecting = connecting
        self._files = files
        self._bundle, self._defaults, self._tokens = files.read()
        files.others(self._bundle)  # what is wrong with them is said at the start
        self._folder = runtime_folder("settings-1", connecting.urls)
        self._options = _options(listen, workers, clients)
        self._pages = PageTable.shared()  # here, before the workers are forked
        if as_json:
            self._options["logger_class"] = JsonGunicornLogger
        super().__init__()

    def load_config(self) -> None:
        """Hand our settings to gunicorn."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def run_beside(self, child: SyncChild) -> None:
        """Run the feed for as long as the server."""
        self.configure(when_ready=lambda server: child.start(), on_exit=lambda server: child.stop())

    def configure(self, **options: Any) -> None:  # noqa: ANN401  # gunicorn's own
        """Set further options of gunicorn's, which hold after a reload too."""
        self._options |= options
        self.load_config()

    def run(self) -> None:
        """Answer requests until told to stop."""
        PatientArbiter(self).run()

    def check(self) -> None:
        """Read every file anew, and let a process of its own see whether the bundle computes here.

        Raises:
            ReloadError: workers that were started now would not come up.
        """
        command = [sys.executable, "-m", "plugin", "check", "--bundle", str(self._files.bundle.resolve())]
        root = Path(__file__).resolve().parents[2]
        try:
            read = self._files.read()
            ended = subprocess.run(  # noqa: S603  # our own interpreter and module
                command, cwd=root, capture_output=True, text=True, timeout=CHECK_S, check=False
            )
        except click.BadParameter as error:
            raise ReloadError(error.message) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ReloadError(str(error)) from error
        if ended.returncode != 0:
            raise ReloadError(ended.stderr.strip())
        self._bundle, self._defaults, self._tokens = read

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
        self.configure(
            certfile=str(certificate),
            keyfile=str(key),
            ssl_context=lambda config, default: _modern(default()),
        )

    def load(self) -> Proxy:
        """Make the application, in the worker: neither ONNX Runtime nor its threads survive a fork.

        `reranker.encoder` imports it when an encoder is made, so the master never has it.
        """
        upstream = self._connecting.upstream()
        credentials = self._connecting.credentials
        poller = SettingsPoller(upstream, credentials, self._folder, self._defaults)
        settings = SettingsCache(upstream, poller, self._defaults)
        poller.start()
        readiness = Readiness(upstream, credentials, poller)
        sight = Sight(Metrics(), self._log)
        tracing = tracing_from_environment(query_text=self._log.query_text)
        model = Model.load(self._bundle, self._files.others(self._bundle))
        return Proxy(
            upstream, model, settings, self._tokens, readiness, sight, tracing, self._pages,
            publish_address=self.clients.publish_address,
        )  # fmt: skip


def _modern(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _options(listen: str, workers: int, clients: ClientOptions) -> dict[str, Any]:
    return {
        "bind": listen,
        "workers": workers,
        "worker_class": "plugin.server.worker.PatientWorker",
        "threads": THREADS,
        "worker_connections": _max_connections(),
        "keepalive": clients.keep_alive_s + GRACE_S if clients.keep_alive_s else 0,
        "proc_name": "twinrank",
        "control_socket_disable": True,
        # longer than OpenSearch takes them, so that it answers what is too long; the worker bounds the head
        "limit_request_line": 0,  # no limit of gunicorn's, which cannot be more than 8,190
        "limit_request_fields": 32768,
        "limit_request_field_size": clients.max_head_bytes,
        "header_map": "dangerous",  # lets names with an underscore come as far as `pre_request`, no further
        "pre_request": keep_underscored,
        "forwarded_allow_ips": "",  # no header of a client's changes what path it asked for
        "accesslog": None,
        "child_exit": worker_ended,
    }


def _max_connections() -> int:
    """Return how many clients a worker may have: half of its files, since each may need one to OpenSearch."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(64, min(MAX_CONNECTIONS, soft // 2))


@click.command()
@click.option(
    "--listen",
    type=ListenType(DEFAULT_PORT),
    default=f"127.0.0.1:{DEFAULT_PORT}",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen. A port alone is this machine's own, :PORT all its addresses; unix:PATH.",
)
@connecting_options
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
    type=bundle_folder,
    metavar="FOLDER",
    multiple=True,
    help="Another bundle whose vectors are written too, where a change of model asks for them.",
)
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="JSON with the server's defaults, in the form of `_meta.rerank`.",
)
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
@client_options
@log_options
def serve(
    listen: ListenAddress,
    connecting: Connecting,
    bundle_path: Path,
    workers: int,
    also: tuple[Path, ...],
    settings_file: Path | None,
    synced: str | None,
    token_file: Path | None,
    certfile: Path | None,
    keyfile: Path | None,
    clients: ClientOptions,
    log: LogOptions,
    log_format: str,
) -> None:
    """Stand in front of OpenSearch and rerank its searches.

    --user, or a user in the first URL, is the service account that follows changes of settings; each request
    is sent with its caller's own. SIGTERM ends it once every request is answered; SIGHUP reads bundle,
    settings and tokens again.
    """
    if (certfile is None) != (keyfile is None):
        raise click.UsageError("expected --certfile and --keyfile together, found one of them")
    check_tracing()
    address = listen.resolved()
    address.check_free()
    as_json = log_format == "json"
    log_to_stderr(as_json=as_json)
    files = Files(bundle_path, settings_file, token_file, also)
    with shared_between_workers():
        server = ProxyServer(connecting, files, str(address), workers, log, clients, as_json=as_json)
        if certfile and keyfile:
            server.speak_tls(certfile, keyfile)
        if synced:
            server.run_beside(SyncChild(connecting, synced, bundle_path))
        server.run()
