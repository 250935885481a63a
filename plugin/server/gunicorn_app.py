"""The proxy as a gunicorn application: its settings, its reload, and what each worker loads."""

import atexit
import resource
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gunicorn.app.base import BaseApplication

from opensearch.settings.layers import Defaults
from opensearch.settings.table import SettingsError
from plugin.admin.health import Readiness
from plugin.apis.tokens import BearerTokens
from plugin.encoding.model import Model
from plugin.errors import CommandError
from plugin.http.underscored_headers import set_underscored_aside
from plugin.proxy import Proxy
from plugin.search.page_table import PageTable
from plugin.server.arbiter import GracefulArbiter
from plugin.server.client_options import ASYNC, GTHREAD, ClientOptions
from plugin.server.combiner_files import read_combiners
from plugin.server.garbage import keep_for_good
from plugin.server.keep_alive import GRACE_S
from plugin.server.runtime_folder import make_runtime_folder
from plugin.server.startup_report import StartupReport, make_urls
from plugin.server.sync_process import SyncProcess
from plugin.settings.cache import SettingsCache
from plugin.settings.defaults import read_defaults
from plugin.settings.poller import SettingsPoller
from plugin.telemetry.log_queue import write_in_thread
from plugin.telemetry.logs import LOGGERS, JsonGunicornLogger
from plugin.telemetry.metrics import Metrics, forget_worker
from plugin.telemetry.search_log import LogOptions, SearchLog
from plugin.telemetry.tracing import create_tracing
from plugin.ubi.record import RecordingOptions
from plugin.ubi.recorder import create_recorder
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle
from reranker.combiner import Combiner
from reranker.errors import CombinerError

THREADS = 32
"""Requests that one worker answers at once."""

MAX_CONNECTIONS = 4096
"""Connections that one worker holds, if the limit of open files is at least twice that."""

WORKERS = {
    GTHREAD: "plugin.server.worker.BufferingWorker",
    ASYNC: "plugin.server.loop_worker.LoopWorker",
}
"""The class of a worker, by core."""

CHECK_S = 120.0

FIRST_LOOK_S = 2.0
"""How long a new worker waits for the settings before it answers; then it says that they are missing."""


class ReloadError(CommandError):
    """The current configuration cannot be used."""


@dataclass(frozen=True)
class Files:
    """The files that a proxy reads at its start and again at SIGHUP."""

    bundle: Path
    settings: Path | None = None
    tokens: Path | None = None
    also: tuple[Path, ...] = ()
    combiners: tuple[Path, ...] = ()

    def read_others(self, bundle: Bundle) -> list[Bundle]:
        """Return the other bundles, whose vectors are also written.

        Raises:
            BundleError: one of them cannot be used.
            CommandError: two bundles make vectors of one model.
        """
        others = [Bundle.open(path) for path in self.also]
        if len({each.vectors_of for each in (bundle, *others)}) <= len(others):
            raise CommandError("--also: expected bundles of different models, found two of one model")
        return others

    def read(self) -> "_Contents":
        """Read all of them.

        Raises:
            BundleError, CombinerError, CommandError, SettingsError: one of them cannot be used.
        """
        tokens = BearerTokens.read(self.tokens) if self.tokens else BearerTokens()
        combiners = read_combiners(self.combiners)
        return _Contents(Bundle.open(self.bundle), read_defaults(self.settings), tokens, combiners)


class _Contents(NamedTuple):
    """What the files hold."""

    bundle: Bundle
    defaults: Defaults
    tokens: BearerTokens
    combiners: Mapping[str, Combiner]


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
        recording: RecordingOptions | None = None,
        *,
        as_json: bool = False,
    ) -> None:
        self._log = log
        self.clients = clients
        self._recording = recording or RecordingOptions()
        self._connecting = connecting
        self._files = files
        self._read = files.read()
        files.read_others(self._read.bundle)  # fail at the start if they cannot be used
        self._folder = make_runtime_folder("settings-1", connecting.urls)
        self._options = _build_options(listen, workers, clients)
        self._options["post_worker_init"] = self._report
        self._child: SyncProcess | None = None
        self._pages = PageTable.shared()  # here, before the workers are forked
        if as_json:
            self._options["logger_class"] = JsonGunicornLogger
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's settings."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def run_beside(self, child: SyncProcess) -> None:
        """Run the sync while the server runs."""
        self._child = child
        self.configure(when_ready=lambda server: child.start(), on_exit=lambda server: child.stop())

    def configure(self, **options: Any) -> None:  # noqa: ANN401  # gunicorn's own
        """Set further gunicorn options, which also hold after a reload."""
        self._options |= options
        self.load_config()

    def run(self) -> None:
        """Answer requests until stopped."""
        GracefulArbiter(self).run()

    def check(self) -> None:
        """Read every file again, and check in a separate process that the bundle computes here.

        Raises:
            BundleError, CommandError: new workers could not start with them.
        """
        command = [sys.executable, "-m", "plugin", "check", "--bundle", str(self._files.bundle.resolve())]
        root = Path(__file__).resolve().parents[2]
        try:
            read, connecting = self._files.read(), self._connecting.reread_password()
            ended = subprocess.run(  # noqa: S603  # our own interpreter and module
                command, cwd=root, capture_output=True, text=True, timeout=CHECK_S, check=False
            )
        except (OSError, SettingsError, CombinerError, subprocess.TimeoutExpired) as error:
            raise ReloadError(str(error)) from error
        if ended.returncode != 0:
            raise ReloadError(ended.stderr.strip())
        self._read = read
        self._connecting, self._folder = connecting, make_runtime_folder("settings-1", connecting.urls)
        if self._child is not None:
            self._child.connect_as(connecting)

    def speak_tls(self, certificate: Path, key: Path) -> None:
        """Accept only TLS 1.2 or newer.

        Raises:
            CommandError: the files are not a certificate and its key.
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
            ssl_context=lambda config, default: _require_tls_1_2(default()),
        )

    def _report(self, worker: Any) -> None:  # noqa: ANN401  # gunicorn's own
        """Log what is served, once: from the first worker, which can ask OpenSearch."""
        if worker.age == 1:
            urls = make_urls([each.getsockname() for each in worker.sockets], is_tls=self.cfg.is_ssl)
            StartupReport(self._connecting, self._read.bundle, self._read.defaults, urls).log_soon()

    def load(self) -> Proxy:
        """Build the application in the worker, since ONNX Runtime and its threads do not survive a fork.

        `reranker.encoder` imports it only when an encoder is created, so the master never loads it.
        """
        write_in_thread(LOGGERS)
        upstream = self._connecting.upstream()
        credentials = self._connecting.credentials
        bundle, defaults = self._read.bundle, self._read.defaults
        poller = SettingsPoller(upstream, credentials, self._folder, defaults)
        settings = SettingsCache(upstream, poller, defaults)
        poller.start()
        readiness = Readiness(upstream, credentials, poller)
        tracing = create_tracing(query_text=self._log.query_text)
        model = Model.load(bundle, self._files.read_others(bundle), self._read.combiners)
        recorder = create_recorder(upstream, self._connecting, self._recording)
        atexit.register(recorder.stop)
        poller.wait_for_first_look(FIRST_LOOK_S)  # else the first requests would find it not ready
        proxy = Proxy(
            upstream,
            model,
            settings,
            self._read.tokens,
            readiness,
            Metrics(),
            SearchLog(self._log),
            tracing,
            self._pages,
            recorder,
            publish_address=self.clients.publish_address,
        )
        keep_for_good()
        return proxy


def _require_tls_1_2(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _build_options(listen: str, workers: int, clients: ClientOptions) -> dict[str, Any]:
    return {
        "bind": listen,
        "workers": workers,
        "worker_class": WORKERS[clients.core],
        "threads": THREADS,
        "worker_connections": _limit_connections(),
        "keepalive": clients.keep_alive_s + GRACE_S if clients.keep_alive_s else 0,
        "proc_name": "twinrank",
        "control_socket_disable": True,
        # above OpenSearch's limits, so that it answers what is too long; the worker limits the head
        "limit_request_line": 0,  # gunicorn's own limit cannot be more than 8,190
        "limit_request_fields": 32768,
        "limit_request_field_size": clients.max_head_bytes,
        "header_map": "dangerous",  # names with an underscore reach `pre_request`, and nothing after it
        "pre_request": set_underscored_aside,
        "forwarded_allow_ips": "",  # no header of a client changes the path that it asked for
        "accesslog": None,
        "child_exit": forget_worker,
    }


def _limit_connections() -> int:
    """Return the connections of a worker: half its open files, since each may need one to OpenSearch."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(64, min(MAX_CONNECTIONS, soft // 2))
