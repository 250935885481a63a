"""Headers whose names contain an underscore: kept outside the WSGI environment, which cannot represent them.

CGI's rules turn both `a-b` and `a_b` into HTTP_A_B, so gunicorn drops the second or takes it for the first.
Dropping is not safe here. OpenSearch's security plugin acts for another user if it finds
`opendistro_security_impersonate_as`; without that header a search has the rights of its sender.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from gunicorn.http.message import Request
    from gunicorn.workers.base import Worker

_KEPT = "underscored_headers"


def set_underscored_aside(_worker: "Worker", request: "Request") -> None:
    """Move such headers from a gunicorn request to its body object. gunicorn calls this before each request.

    `header_map` must let them through; none of them reaches the environment.
    """
    kept = [(name.title(), value) for name, value in request.headers if "_" in name]
    if kept:
        keep_underscored(request.body, kept)
        request.headers[:] = [header for header in request.headers if "_" not in header[0]]


def keep_underscored(body: object, headers: Iterable[tuple[str, str]]) -> None:
    """Keep such headers on a request's body, which WSGI hands on."""
    setattr(body, _KEPT, tuple(headers))


def read_underscored(environ: "WSGIEnvironment") -> tuple[tuple[str, str], ...]:
    """Return the headers that were set aside for the request of an environment."""
    kept: tuple[tuple[str, str], ...] = getattr(environ["wsgi.input"], _KEPT, ())
    return kept
