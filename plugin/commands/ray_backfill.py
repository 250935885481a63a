"""All slices of a backfill on an existing Ray cluster: `twinrank backfill INDEX --ray ADDRESS`.

Each actor loads the encoder once and runs slices, one after another, as `--slice` does. A slice's progress is
in OpenSearch, so an actor that dies costs its slice alone, and the driver keeps nothing that matters.
"""

import importlib
import os
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from indexer.sync.backfill import Backfill, Slice
from indexer.sync.followed import Policies
from indexer.sync.lease import Leases
from indexer.sync.shard_pass import Run
from indexer.sync.throttle import Throttle
from plugin.commands.connection import open_client
from plugin.commands.main import expected_errors
from plugin.commands.sync import make_policy_builder, run_to_end
from plugin.errors import CommandError
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle
from reranker.bundle_names import find_bundle
from reranker.extras import missing_package

ANSWER_S = 1.0
"""How long a Ray cluster has to accept a connection."""

SETTINGS_S = 3.0
"""How long it then has to open HTTP/2."""

_REQUEST = b"GET / HTTP/1.1\r\nHost: ray\r\n\r\n"
_SETTINGS = b"\x04"
"""The type of HTTP/2's first frame, in the fourth byte."""

SLICES_OF_ACTOR = 4
"""So that one that dies costs little, and a slow one holds up little at the end."""

MAX_DEATHS = 5
"""A slice whose actor has died this often is given up: it may need more memory than there is."""

_NO_PORT = "auto"


class RayClusterError(CommandError):
    """The Ray cluster cannot be used, or a slice failed there."""


@dataclass(frozen=True)
class SliceTask:
    """What every actor needs to run slices. `bundle` is a name, or a folder that each node has."""

    connecting: Connecting
    index: str
    bundle: str
    model_tag: int
    rate: float | None
    threads: int


@dataclass
class SliceReport:
    """How the slices of a backfill ended: reports of those that ran, and what went wrong with others."""

    count: int
    done: dict[Slice, dict[str, Any]] = field(default_factory=dict)
    failed: dict[Slice, str] = field(default_factory=dict)
    deaths: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether every slice was done, and nothing rejected."""
        return len(self.done) == self.count and all(_is_complete(one) for one in self.done.values())

    def as_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        totals = ("checked", "current", "written", "encoded", "conflicts", "rejected")
        return {
            "slices": self.count,
            "slices_done": sum(_is_complete(one) for one in self.done.values()),
            **{name: sum(one[name] for one in self.done.values()) for name in totals},
            "samples": [sample for one in self.done.values() for sample in one["samples"]][:10],
            "blocked": {name: why for one in self.done.values() for name, why in one["blocked"].items()},
            "failed": {str(part): why for part, why in self.failed.items()},
            "actor_deaths": self.deaths,
        }

    def in_words(self) -> str:
        """Return the result for people, a few lines."""
        found = self.as_json()
        words = [
            f"{found['slices_done']} of {self.count} slices are done: {found['checked']} documents checked,"
            f" {found['written']} written ({found['encoded']} encoded),"
            f" {found['conflicts']} changed meanwhile, {self.deaths} actors died"
        ]
        words += [f"{name} cannot be written to: {why}" for name, why in found["blocked"].items()]
        words += [f"  {one['_index']}/{one['_id']}: {one['reason']}" for one in found["samples"]]
        words += [f"slice {part}: {why}" for part, why in found["failed"].items()]
        if not self.is_complete:
            words.append("Run the same command again: it continues there")
        return "\n".join(words)


def _is_complete(report: dict[str, Any]) -> bool:
    return not report["rejected"] and not report["blocked"] and report["stopped"] is None


class SliceWorker:
    """An actor: it loads the encoder for its first slice, and runs one slice at a time."""

    def __init__(self, task: SliceTask) -> None:
        self._task = task

    def run_slice(self, part: Slice) -> dict[str, Any]:
        """Run a slice; return its summary, as `--json` prints it, or `{"problem": ...}`.

        An error is returned, since Ray wraps what is raised.
        """
        task = self._task
        try:
            policies = self._policies
            with open_client(task.connecting) as upstream:
                run = Run(upstream, throttle=Throttle(task.rate))

                def fill(run: Run, leases: Leases) -> None:
                    Backfill(run, leases, task.index, part, policies).run_slice()

                run_to_end(run, fill)
                return run.summary.as_json()
        except expected_errors() as error:
            return {"problem": str(error)}

    @cached_property
    def _policies(self) -> Policies:
        """Its policies.

        Raises:
            RayClusterError: the bundle here gives other vectors than the driver's.
        """
        bundle = Bundle.open(find_bundle(self._task.bundle))
        if bundle.model_tag != self._task.model_tag:
            raise RayClusterError(
                f"expected the same bundle {self._task.bundle} on every node, found another model on"
                f" {socket.gethostname()}. Install the same version of Twinrank there"
            )
        return make_policy_builder(bundle, self._task.threads)


def run_on_ray(
    address: str,
    task: SliceTask,
    num_slices: int | None,
    num_actors: int | None,
    progress: Callable[[int, int], None],
) -> SliceReport:
    """Run all slices on a Ray cluster; `progress` is called with the slices that have ended, and all.

    Without numbers there is an actor for each of the cluster's cores, and SLICES_OF_ACTOR slices for each.

    Raises:
        RayClusterError: nobody answers at the address, or the cluster cannot be used.
    """
    check_address(address)
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise RayClusterError(missing_package("--ray", "ray", error)) from error
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise RayClusterError(describe_failure(address, error)) from error
    try:
        cores = int(ray.cluster_resources().get("CPU", 0)) // task.threads
        if cores < 1:
            raise RayClusterError(
                f"--ray: expected a Ray cluster with {task.threads} cores for an actor, found"
                f" {ray.cluster_resources().get('CPU', 0):.0f}"
            )
        actors = num_actors or cores
        count = num_slices or SLICES_OF_ACTOR * actors
        return _Driver(ray, task, count, min(actors, count), progress).run()
    finally:
        ray.shutdown()


def describe_failure(address: str, error: Exception) -> str:
    """Return why a cluster was not reached. For `auto`, Ray names an option that is not Twinrank's."""
    if address == _NO_PORT and isinstance(error, ConnectionError):
        return (
            "--ray auto: expected a Ray cluster that runs on this machine, or its address in RAY_ADDRESS,"
            " found none. Give --ray HOST:PORT, or start one: ray start --head --port 6379"
        )
    return f"--ray: expected a Ray cluster at {address}, found: {error!s:.300}"


def check_address(address: str) -> None:
    """Check that a gRPC server is at the address of a Ray cluster; `auto` is looked up by Ray itself.

    Raises:
        RayClusterError: it is no address, or nobody or another server answers there.
    """
    if address == _NO_PORT:
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise RayClusterError(
            f"--ray: expected HOST:PORT of a Ray cluster, ray://HOST:PORT or auto, found {address!r}"
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S) as connection:
            speaks_grpc = _uses_tls() or _is_answered(connection)
    except OSError as error:
        raise RayClusterError(
            f"--ray: expected a Ray cluster at {address}, found nobody who answers: {error}."
            " Start one: ray start --head --port 6379"
        ) from error
    if not speaks_grpc:
        raise RayClusterError(
            f"--ray: expected a Ray cluster at {address}, found another server."
            " ray start --head prints the cluster's address"
        )


def _is_answered(connection: socket.socket) -> bool:
    """Return whether a gRPC server opens HTTP/2 at once; others, OpenSearch too, answer the request.

    Ray itself waits for minutes.
    """
    connection.settimeout(SETTINGS_S)
    connection.sendall(_REQUEST)
    return connection.recv(9)[3:4] == _SETTINGS


def _uses_tls() -> bool:
    """Return whether Ray is told to use TLS, so that nothing but a connection can be tried here."""
    return os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")


class _Driver:
    """Hands out slices to actors, and starts another actor for one that died."""

    def __init__(
        self,
        ray: Any,  # noqa: ANN401  # the module
        task: SliceTask,
        count: int,
        actors: int,
        progress: Callable[[int, int], None],
    ) -> None:
        self._ray = ray
        self._task = ray.put(replace(task, connecting=replace(task.connecting)))  # without its open files
        options = {"num_cpus": task.threads, "max_restarts": 0}
        self._make_actor = ray.remote(**options)(SliceWorker).remote
        self._progress = progress
        self._report = SliceReport(count)
        self._left = deque(Slice(number, count) for number in range(1, count + 1))
        self._deaths: dict[Slice, int] = {}
        self._num_actors = actors
        self._running: dict[Any, tuple[Any, Slice]] = {}

    def run(self) -> SliceReport:
        """Run all slices.

        Raises:
            RayClusterError: an actor cannot start.
        """
        for _ in range(self._num_actors):
            self._give_slice(self._make_actor(self._task))
        while self._running:
            self._progress(len(self._report.done) + len(self._report.failed), self._report.count)
            ended, _ = self._ray.wait(list(self._running), num_returns=1, timeout=1.0)
            for reference in ended:
                self._take_result(reference)
        self._progress(self._report.count, self._report.count)
        return self._report

    def _give_slice(self, actor: Any) -> None:  # noqa: ANN401  # Ray's
        if self._left:
            part = self._left.popleft()
            self._running[actor.run_slice.remote(part)] = actor, part

    def _take_result(self, reference: Any) -> None:  # noqa: ANN401  # Ray's
        actor, part = self._running.pop(reference)
        try:
            found = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise RayClusterError(f"slice {part}: {_last_line(error)}") from error
        except self._ray.exceptions.RayError as error:  # the actor or its node died
            if getattr(error, "actor_init_failed", False):
                raise RayClusterError(
                    f"--ray: expected Twinrank on every node of the cluster, found: {_last_line(error)}"
                ) from error
            self._note_death(part)
            actor = self._make_actor(self._task)
        else:
            if "problem" in found:
                self._report.failed[part] = found["problem"]
            else:
                self._report.done[part] = found
        self._give_slice(actor)

    def _note_death(self, part: Slice) -> None:
        """Put back the slice of an actor that died, behind the others: its lease must expire first."""
        self._report.deaths += 1
        self._deaths[part] = self._deaths.get(part, 0) + 1
        if self._deaths[part] < MAX_DEATHS:
            self._left.append(part)
        else:
            self._report.failed[part] = f"its actor died {MAX_DEATHS} times"


def _last_line(error: Exception) -> str:
    """Return the last line of an error, which names its cause; Ray puts a whole traceback before it."""
    return str(error).strip().splitlines()[-1].strip()
