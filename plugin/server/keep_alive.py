"""The `Keep-Alive` header, so that no client sends a request just as its connection is closed."""

from collections.abc import Callable, Iterable
from typing import Any

GRACE_S = 5
"""How much longer a connection is kept than the header says, so that the client closes first."""

Application = Callable[[Any, Any], Iterable[bytes]]


def announce_keep_alive(application: Application, keep_alive_s: int) -> Application:
    """Return a WSGI application whose answers say how long gunicorn keeps their connection.

    gunicorn drops a `Keep-Alive` header of the application and sets none itself. So it is added to gunicorn's
    response object, whose method `start_response` is.
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
