"""The files of the page: read once, sent with a policy under which nothing of a document can act."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import flask

PAGE = "page.html"

POLICY = "; ".join((
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
))  # fmt: skip
"""Only the page's own files, no markup from strings, and no other address."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOLDER = Path(__file__).parent / "static"


@dataclass(frozen=True)
class PageFile:
    """One file, its content type and its tag, which changes with its content."""

    content: bytes
    content_type: str
    tag: str


@cache
def read_page_files() -> dict[str, PageFile]:
    """Return every file by its name."""
    return {file.name: _read(file) for file in sorted(_FOLDER.iterdir()) if file.suffix in _TYPES}


def build_file_response(name: str) -> flask.Response:
    """Return a file, or a 304 if the browser has it. It is asked for each time, so that an upgrade is seen.

    Raises:
        NotFound: there is no such file.
    """
    found = read_page_files().get(name)
    if found is None:
        flask.abort(404, description=f"expected one of the lab's files, found {name[:100]!r}")
    response = flask.Response(found.content, content_type=found.content_type)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-cache"
    response.set_etag(found.tag)
    response.make_conditional(flask.request.environ)
    return response


def _read(file: Path) -> PageFile:
    content = file.read_bytes()
    return PageFile(content, _TYPES[file.suffix], sha256(content).hexdigest()[:16])
