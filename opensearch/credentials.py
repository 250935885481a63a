"""User and password in the URL of an OpenSearch."""

import base64
from urllib.parse import quote, unquote, urlsplit


def basic_authorization(url: str) -> str | None:
    """Return the `Authorization` header for the user and password in a URL; None if it names no user.

    OpenSearch reads them as UTF-8, whatever the client library would send.
    """
    parts = urlsplit(url)
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def url_without_credentials(url: str) -> str:
    """Return the URL without user and password, as messages show it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def url_with_credentials(url: str, user: str, password: str) -> str:
    """Return the URL with this user and password in place of its own."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{host}").geturl()
