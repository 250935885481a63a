"""gunicorn's master, made graceful: old workers answer until new ones do, and no connection is lost."""

import ctypes
import logging
import signal
import socket
import struct
import sys
from contextlib import suppress
from typing import Any, Protocol

from gunicorn.arbiter import Arbiter

from plugin.errors import CommandError
from plugin.server.worker import STOPPING
from reranker.errors import RerankerError

_log = logging.getLogger("twinrank")

_SO_ATTACH_FILTER = 26
"""<asm-generic/socket.h>; Python has no name for it."""

_FLAGS, _SYN, _SYN_ACK = 13, 0x02, 0x12
"""The offset of a TCP header's flags, and the flags SYN and SYN|ACK."""

_LOAD_BYTE, _AND, _IF_EQUAL, _RETURN = 0x30, 0x54, 0x15, 0x06
_DROP_HANDSHAKES = (
    (_LOAD_BYTE, 0, 0, _FLAGS),
    (_AND, 0, 0, _SYN_ACK),
    (_IF_EQUAL, 0, 1, _SYN),
    (_RETURN, 0, 0, 0),
    (_RETURN, 0, 0, 0xFFFFFFFF),
)
"""Classic BPF, as in `man 4 bpf`: drop packets that begin a handshake, pass all others."""


class ReloadableApplication(Protocol):
    """The application that a master runs."""

    def check(self) -> None:
        """Read everything again.

        Raises:
            CommandError, RerankerError: new workers could not start with it.
        """
        ...

    def reload(self) -> None:
        """Use what was read."""
        ...


class GracefulArbiter(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """The master process."""

    app: Any

    def reload(self) -> None:
        """Start workers with the current configuration; `manage_workers` stops the old ones later.

        A configuration that cannot be used changes nothing: the workers keep the old one.
        """
        application: ReloadableApplication = self.app
        try:
            application.check()
        except (CommandError, RerankerError) as error:
            _log.error("not reloaded, the workers keep their configuration: %s", error)
            return
        application.reload()
        self.setup(self.app)
        self.log.reopen_files()
        _log.info("reloading: %d new workers start", self.cfg.workers)
        for _ in range(self.cfg.workers):
            self.spawn_worker()

    def spawn_worker(self) -> Any:  # noqa: ANN401  # gunicorn's own
        """Block stop signals across the fork, so that a new worker cannot miss one.

        Until it has its own handlers it has the master's, which put a signal into a queue that the worker
        never reads. The worker unblocks the signals in `init_signals`.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            return super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def stop(self, graceful: bool = True) -> None:
        """Stop the workers. They answer existing connections; new ones are refused."""
        for listener in self.LISTENERS:
            drop_new_handshakes(listener.sock)
        super().stop(graceful)

    def manage_workers(self) -> None:
        """Start missing workers, and stop surplus old ones once the newest answer."""
        by_age = sorted(self.WORKERS.values(), key=lambda worker: worker.age)
        newest = by_age[-self.num_workers :]
        if len(by_age) > self.num_workers and not all(worker.is_ready for worker in newest):
            return
        super().manage_workers()


def drop_new_handshakes(listener: socket.socket) -> None:
    """Drop every handshake that begins from now on, for all processes that hold this TCP socket.

    Connections in a port's queue are reset when its last holder closes it. A client can connect between the
    last look into the queue and the close. So new handshakes are dropped first, the queue is emptied, and
    then the port is closed. A client whose handshake was dropped tries again after a second, is refused, and
    goes to another address.

    Only Linux can do this. Elsewhere, and for other kinds of socket, nothing happens.
    """
    if sys.platform != "linux" or listener.family not in (socket.AF_INET, socket.AF_INET6):
        return
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in _DROP_HANDSHAKES)
    held = ctypes.create_string_buffer(code, len(code))  # must live until the call returns
    program = struct.pack("HP", len(_DROP_HANDSHAKES), ctypes.addressof(held))
    with suppress(OSError):  # a kernel without it: the port is closed as usual
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
