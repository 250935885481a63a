"""Bearer tokens for the endpoints beside search."""

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

from plugin.errors import CommandError

SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class BearerTokens:
    """The SHA-256 of every accepted token; none: anybody may call.

    With several tokens, one can be replaced without a gap.
    """

    digests: tuple[bytes, ...] = ()

    @classmethod
    def read(cls, file: Path) -> "BearerTokens":
        """Read them from a file (see `read_tokens`).

        Raises:
            CommandError: the file cannot be read, has no token, or one that is too short or not ASCII.
        """
        return cls(tuple(_digest(token) for token in read_tokens(file)))

    def accept(self, authorization: str) -> bool:
        """Return whether an `Authorization` header has one of the tokens, in constant time."""
        scheme, _, token = authorization.partition(" ")
        presented = _digest(token.strip())
        matches = [hmac.compare_digest(presented, digest) for digest in self.digests]
        return not self.digests or (scheme.lower() == "bearer" and any(matches))


def read_tokens(file: Path) -> list[str]:
    """Read a file with one token per line; empty lines and those that begin with `#` are ignored.

    Raises:
        CommandError: the file cannot be read, has no token, or one that is too short or not ASCII.
    """
    try:
        lines = [line.strip() for line in file.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"expected bearer tokens, one per line, in {file}, found: {error}") from error
    tokens = [line for line in lines if line and not line.startswith("#")]
    for number, token in enumerate(tokens, 1):
        is_plain = token.isascii() and token.isprintable() and " " not in token
        if len(token) < SHORTEST_TOKEN or not is_plain:
            raise CommandError(
                f"{file}: expected tokens of at least {SHORTEST_TOKEN} ASCII characters without spaces,"
                f" found another as token {number}. Make one: openssl rand -hex 32"
            )
    if not tokens:
        raise CommandError(f"{file}: expected at least one token, found none: openssl rand -hex 32")
    return tokens


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
