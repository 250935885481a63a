"""The addresses of one OpenSearch, used in turn; one that fails is left out until it answers again.

opensearch-py's pool was the model but is not used. It takes a host back after a time, so a client's
request tests the host, and waits for a connect timeout if it drops packets. It also uses the wall clock,
which may jump.
"""

import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from plugin.upstream.host import Host, NotConnectedError

PROBE_S = 1.0
"""Seconds between two probes of left-out hosts."""

_log = logging.getLogger("twinrank")


@dataclass(frozen=True)
class HostState:
    """One host's state: its address, whether it is left out, and its idle connections."""

    url: str
    is_left_out: bool
    num_idle: int


class Hosts:
    """Several hosts, and which of them is next."""

    def __init__(self, hosts: Sequence[Host], *, probe_s: float = PROBE_S) -> None:
        self._all = tuple(hosts)
        self._probe_s = probe_s
        self._left_out: frozenset[Host] = frozenset()
        self._away: frozenset[Host] = frozenset()
        self._turn = itertools.count()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._asked_now = threading.Event()
        self._prober: threading.Thread | None = None
        self.on_change: Callable[[int], None] = lambda num_left_out: None
        self.count_other_idle: Callable[[Host], int] = lambda host: 0
        """Returns how many connections to a host an event loop keeps beside those of the threads."""

    def list_by_turn(self) -> Sequence[Host]:
        """Return all hosts: first those that answer, starting with a different one each time."""
        if len(self._all) == 1:
            return self._all
        left_out = self._left_out
        asked = [host for host in self._all if host not in left_out]
        start = next(self._turn) % max(1, len(asked))
        return (*asked[start:], *asked[:start], *(host for host in self._all if host in left_out))

    def record_fault(self, host: Host, error: Exception) -> None:
        """Record what a failed request says about a host."""
        if not isinstance(error, NotConnectedError):
            self.doubt(host)
        elif not error.is_own:
            self.record_failure(host)

    def record_failure(self, host: Host) -> None:
        """Leave a host out until it answers: there is no connection to it."""
        self._leave_out(host)
        self._log_away(host)

    def doubt(self, host: Host) -> None:
        """Prefer other hosts until this one has answered a probe.

        The request itself may be why it was not answered: OpenSearch closes the connection for an unknown
        method or encoding, and never answers some headers.
        """
        self._leave_out(host)

    def states(self) -> list[HostState]:
        """Return the state of each host."""
        left_out = self._left_out
        return [
            HostState(host.url, host in left_out, host.num_idle + self.count_other_idle(host))
            for host in self._all
        ]

    def close(self) -> None:
        """Close all idle connections, and stop probing."""
        self._closed.set()
        self._asked_now.set()
        for host in self._all:
            host.close()

    def _leave_out(self, host: Host) -> None:
        """Leave a host out, and probe it at once."""
        if len(self._all) == 1 or host in self._left_out:
            return
        with self._lock:
            self._left_out |= {host}
            self.on_change(len(self._left_out))
            self._asked_now.set()
            if self._prober is None and not self._closed.is_set():
                self._prober = threading.Thread(target=self._probe, name="upstream-probe", daemon=True)
                self._prober.start()

    def _log_away(self, host: Host) -> None:
        """Log once that a host is away, and close its idle connections."""
        with self._lock:
            if host in self._away or host not in self._left_out:
                return
            self._away |= {host}
        _log.warning("%s does not answer, and is left out until it does", host.url)
        host.close()

    def _probe(self) -> None:
        while not self._closed.is_set():
            self._asked_now.clear()
            asked = self._left_out
            back = {host for host in asked if host.answers()}
            for host in asked - back:
                self._log_away(host)
            with self._lock:
                self._left_out -= back
                if back:
                    self.on_change(len(self._left_out))
                for host in back & self._away:
                    _log.warning("%s answers again", host.url)
                self._away -= back
                if not self._left_out:
                    self._prober = None
                    return
            self._asked_now.wait(self._probe_s)
