"""Tells clients how long an idle connection is kept, so that none sends a request as it is closed."""

from collections.abc import Callable, Iterable
from typing import Any

GRACE_S = 5
"""A connection is kept for so much longer than a client is told, so that the client closes first."""

Application = Callable[[Any, Any], Iterable[bytes]]


def announcing(application: Application, keep_alive_s: int) -> Application:
    """Return a WSGI application whose answers say how long gunicorn keeps their connection.

    A `Keep-Alive` header of an application's own does not reach the client: it is gunicorn's to set, and
    gunicorn sets none. So it is added to gunicorn's response, whose method `start_response` is.
    """
    line = "Keep-Alive", f"timeout={keep_alive_s}"

    def announced(environ: Any, start_response: Any) -> Iterable[bytes]:  # noqa: ANN401  # gunicorn's own
        response = start_response.__self__

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:  # noqa: ANN401
            write = start_response(status, headers, exc_info)
            if not response.should_close():
                response.headers.append(line)
            return write

        return application(environ, start)

    return announced
