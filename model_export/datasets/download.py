"""Files from the network: resumed after an interruption, and checked against their checksums."""

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from model_export.datasets.catalogue import Part
from model_export.errors import ExportError

TIMEOUT_S = 30.0
"""How long the server may be silent."""

ATTEMPTS = 4
"""How often a transfer is tried; each goes on where the one before ended."""

PAUSE_S = 1.0
"""Before the second attempt; it doubles with each further one."""

_BLOCK_BYTES = 1 << 20
_SCHEMES = ("http://", "https://")


def download(part: Part, target: Path, pause_s: float = PAUSE_S) -> None:
    """Fetch a file, unless it is there already.

    What has arrived of it lies in `TARGET.part` until its checksum has been verified, so that an interrupted
    call can be repeated.

    Raises:
        ExportError: the file has no address, cannot be fetched, or is not the expected one.
    """
    if target.exists():
        _verify(part, target, "Delete it, and run this again")
        return
    if part.url is None:
        raise ExportError(f"{part.name} cannot be fetched by this command. Put it at {target}")
    if not part.url.startswith(_SCHEMES):
        raise ExportError(f"expected a URL with http or https for {part.name}, found {part.url}")
    partial = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    _retry(lambda: _resume(part.url or "", partial), part.url, pause_s)
    try:
        _verify(part, partial, f"{part.url} serves another file now, or the transfer was damaged")
    except ExportError:
        partial.unlink()  # a further attempt would append to it
        raise
    partial.replace(target)


def _retry(transfer: Callable[[], None], url: str, pause_s: float) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            transfer()
        except urllib.error.HTTPError as error:
            if error.code < HTTPStatus.INTERNAL_SERVER_ERROR or attempt == ATTEMPTS:
                raise ExportError(f"expected {url}, found: {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            if attempt == ATTEMPTS:
                reason = getattr(error, "reason", None) or error
                raise ExportError(
                    f"expected to fetch {url}, but the network failed {ATTEMPTS} times, last with: {reason}."
                    " What arrived is kept: run this again to go on"
                ) from error
        else:
            return
        time.sleep(pause_s * 2 ** (attempt - 1))


def _resume(url: str, partial: Path) -> None:
    """Fetch what is missing of a file; all of it if the server cannot send a part."""
    start = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})  # noqa: S310
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310 - `download` checks the scheme
    except urllib.error.HTTPError as error:
        if start and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # it is complete, or too long: the checksum will tell
        raise
    with answer, partial.open("ab" if answer.status == HTTPStatus.PARTIAL_CONTENT else "wb") as file:
        expected = answer.headers.get("Content-Length")
        received = 0
        while block := answer.read(_BLOCK_BYTES):
            file.write(block)
            received += len(block)
    if expected is not None and received < int(expected):
        raise ConnectionError(f"the connection ended after {received} of {expected} bytes")


def _verify(part: Part, file: Path, remedy: str) -> None:
    found = compute_checksum(file, part.checksum.partition(":")[0])
    if found != part.checksum:
        raise ExportError(f"expected {part.checksum} in {file}, found {found}. {remedy}")


def compute_checksum(file: Path, kind: str) -> str:
    """Return a file's checksum as the catalogue writes it; `kind` is `sha256` or `git`."""
    # SHA-1 is what Git names contents by. It finds damage here; TLS and the commit's name guard the origin.
    digest = hashlib.sha256() if kind == "sha256" else hashlib.sha1(usedforsecurity=False)
    if kind == "git":
        digest.update(b"blob %d\0" % file.stat().st_size)
    with file.open("rb") as content:
        while block := content.read(_BLOCK_BYTES):
            digest.update(block)
    return f"{kind}:{digest.hexdigest()}"
