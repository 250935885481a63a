"""Headers whose names hold an underscore: kept beside the WSGI environment, which cannot tell them apart.

CGI's rules make HTTP_A_B of both `a-b` and `a_b`, so gunicorn drops the second or lets it pass for the first.
Dropping is not safe here: OpenSearch's security plugin speaks for another user where it finds
`opendistro_security_impersonate_as`, and without it a search has the rights of who sent it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from gunicorn.http.message import Request
    from gunicorn.workers.base import Worker

_KEPT = "underscored_headers"


def keep_underscored(_worker: "Worker", request: "Request") -> None:
    """Move such headers from a request of gunicorn's to its body: what gunicorn calls before each request.

    gunicorn must let them come so far (`header_map`); none of them reaches the environment.
    """
    kept = [(name.title(), value) for name, value in request.headers if "_" in name]
    if kept:
        setattr(request.body, _KEPT, tuple(kept))
        request.headers[:] = [header for header in request.headers if "_" not in header[0]]


def underscored(environ: "WSGIEnvironment") -> tuple[tuple[str, str], ...]:
    """Return the headers that were kept for the request of an environment."""
    kept: tuple[tuple[str, str], ...] = getattr(environ["wsgi.input"], _KEPT, ())
    return kept
