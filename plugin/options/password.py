"""The password of OpenSearch's user: from a file, the environment or a terminal, never from an argument."""

import getpass
import os
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click

from plugin.upstream.client import get_first_url
from plugin.upstream.connecting import VARIABLES, ConnectionOptionError, parse_password, set_user

STDIN = "-"
_TERMINAL = "/dev/tty"


def add_password(urls: str, user: str | None, password_file: str | None) -> str:
    """Return the URLs with user and password in them; unchanged if there is no user.

    `user` replaces the user in the URLs. A password in the URLs is kept if it is that user's.

    Raises:
        click.BadParameter: the user or the file cannot be used.
        click.UsageError: a password without a user, or the reverse and no terminal to ask at.
        click.Abort: nobody answered at the terminal.
    """
    parts = urlsplit(get_first_url(urls))
    in_url = None if parts.username is None else unquote(parts.username)
    name = in_url if user is None else user
    if name is None:
        if password_file is not None:
            raise click.UsageError("expected the password's user too: --user NAME")
        return urls
    if name == in_url and parts.password is not None:
        return urls
    if user is not None and (":" in user or not user):
        raise click.BadParameter(
            f"expected a name without a colon, found {user.partition(':')[0]}:... The password comes from"
            " --password-file, TWINRANK_PASSWORD or the terminal, never from the command line",
            param_hint="--user",
        )
    return set_user(urls, name, _find_password(name, password_file, parts.hostname))


def _find_password(user: str, file: str | None, host: str | None) -> str:
    if file is not None:
        return _read_file(file)
    password = os.environ.get(VARIABLES["password"])
    return _prompt(user, host) if password is None else password


def _read_file(file: str) -> str:
    """Return the one line of a file, or the first line of standard input."""
    try:
        content = sys.stdin.buffer.readline() if file == STDIN else Path(file).read_bytes()
        return parse_password(content, file)
    except OSError as error:
        raise _refuse_file(f"expected a file with the password, found: {error}") from error
    except ConnectionOptionError as error:
        raise _refuse_file(str(error)) from error


def _refuse_file(message: str) -> click.BadParameter:
    return click.BadParameter(message, param_hint="--password-file")


def _prompt(user: str, host: str | None) -> str:
    """Ask at the terminal, even if standard input is a pipe of documents."""
    try:
        os.close(os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError as error:
        raise click.UsageError(
            f"expected the password of {user}, found no terminal to ask at."
            " Give --password-file FILE or TWINRANK_PASSWORD"
        ) from error
    try:
        return getpass.getpass(f"Password of {user} at {host}: ")
    except EOFError as error:
        raise click.Abort from error
