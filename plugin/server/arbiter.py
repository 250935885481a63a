"""gunicorn's master, made patient: old workers answer until new ones do, and none that connected is lost."""

import logging
import signal
from typing import Any, Protocol

from gunicorn.arbiter import Arbiter

from plugin.errors import CommandError
from plugin.server.closing_port import begin_no_more
from plugin.server.worker import STOPPING
from reranker.errors import RerankerError

_log = logging.getLogger("twinrank")


class Reloading(Protocol):
    """The application that a master runs."""

    def check(self) -> None:
        """Read everything anew.

        Raises:
            CommandError, RerankerError: workers that were started now would not come up.
        """
        ...

    def reload(self) -> None:
        """Use what was read."""
        ...


class PatientArbiter(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """The master process."""

    app: Any

    def reload(self) -> None:
        """Start workers with what is configured now; `manage_workers` stops the old ones in time.

        What cannot be used changes nothing: the workers go on with what they have.
        """
        application: Reloading = self.app
        try:
            application.check()
        except (CommandError, RerankerError) as error:
            _log.error("not reloaded, the workers go on as they are: %s", error)
            return
        application.reload()
        self.setup(self.app)
        self.log.reopen_files()
        _log.info("reloading: %d new workers start", self.cfg.workers)
        for _ in range(self.cfg.workers):
            self.spawn_worker()

    def spawn_worker(self) -> Any:  # noqa: ANN401  # gunicorn's own
        """Start a worker, which hears what asks it to stop from its first moment on.

        Until it has handlers of its own it has the master's, which would note the signal in a queue that the
        worker never reads. So the signals are held back, and the worker lets them come (`init_signals`).
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            return super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def stop(self, graceful: bool = True) -> None:
        """Stop the workers, which take what has been connected until then, and nothing is connected anew."""
        for listener in self.LISTENERS:
            begin_no_more(listener.sock)
        super().stop(graceful)

    def manage_workers(self) -> None:
        """Start what is missing, and stop the oldest of too many once the newest answer."""
        by_age = sorted(self.WORKERS.values(), key=lambda worker: worker.age)
        newest = by_age[-self.num_workers :]
        if len(by_age) > self.num_workers and not all(worker.is_ready for worker in newest):
            return
        super().manage_workers()
