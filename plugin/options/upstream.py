"""The options that say how to reach OpenSearch: one table for `serve` and all other commands."""

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from plugin.options.common import Command
from plugin.options.origins import describe_origin, is_stronger
from plugin.options.password import STDIN, add_password
from plugin.upstream.client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, get_first_url
from plugin.upstream.connecting import VARIABLES, Connecting, ConnectionOptionError

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _option(*names: str, **given: Any) -> Callable[[Command], Command]:  # noqa: ANN401  # as click's own
    """Return an option with an environment variable; the last name is the parameter's."""
    return click.option(*names, envvar=VARIABLES[names[-1]], show_envvar=True, **given)


_ADDRESS = _option(
    "--upstream",
    "urls",
    multiple=True,
    default=("http://127.0.0.1:9200",),
    show_default=True,
    metavar="URL,...",
    help="OpenSearch; several hosts by commas or repeated. `serve` uses all, other commands the first.",
)

_SECRETS = (
    (
        ("--ca", "--upstream-ca", "ca"),
        {"type": _FILE, "help": "CA certificates to verify https hosts with, in PEM."},
    ),
    (
        ("--insecure", "--upstream-insecure", "insecure"),
        {"is_flag": True, "help": "Do NOT verify https hosts. For tests only."},
    ),
    (
        ("--client-cert", "--upstream-cert", "certificate"),
        {"type": _FILE, "help": "Client certificate for OpenSearch, in PEM."},
    ),
    (
        ("--client-key", "--upstream-key", "key"),
        {"type": _FILE, "help": "Its key, if the certificate file has none."},
    ),
    (
        ("--user", "user"),
        {
            "metavar": "NAME",
            "help": "OpenSearch user. Its password: --password-file, TWINRANK_PASSWORD or a prompt.",
        },
    ),
    (
        ("--password-file", "password_file"),
        {"metavar": "FILE", "help": "One line with the user's password; - is standard input."},
    ),
    (
        ("--aws-region", "aws_region"),
        {"metavar": "REGION", "help": "Sign requests (SigV4) for Amazon OpenSearch Service in this region."},
    ),
    (
        ("--aws-service", "aws_service"),
        {"default": "es", "show_default": True, "help": "Service to sign for: es or aoss."},
    ),
)
"""Names, the parameter last, and the rest of each option. `--upstream-...` are names of `serve` alone."""

_TIMEOUTS = (
    click.option(
        "--upstream-connect-timeout",
        "connect_timeout_s",
        type=click.FloatRange(min=0, min_open=True),
        default=CONNECT_TIMEOUT_S,
        show_default=True,
        metavar="SECONDS",
        help="Longest wait for a connection to a host.",
    ),
    click.option(
        "--upstream-read-timeout",
        "read_timeout_s",
        type=click.FloatRange(min=0, min_open=True),
        default=READ_TIMEOUT_S,
        show_default=True,
        metavar="SECONDS",
        help="Longest silence of OpenSearch; then the client gets 504.",
    ),
)


def connection_options(command: Command) -> Command:
    """Add the options of a command that talks to OpenSearch, passed and checked as `connecting`."""
    return _with_options(command, _ADDRESS, *_secrets(is_server=False))


def connecting_options(command: Command) -> Command:
    """Add the options of `serve`, with its timeouts and former names, passed and checked as `connecting`."""
    return _with_options(command, _ADDRESS, *_TIMEOUTS, *_secrets(is_server=True))


def _secrets(*, is_server: bool) -> list[Callable[[Any], Any]]:
    return [
        _option(*(name for name in names if is_server or not name.startswith("--upstream-")), **given)
        for names, given in _SECRETS
    ]


def _with_options(command: Command, *options: Callable[[Any], Any]) -> Command:
    @wraps(command)
    def with_connecting(**given: Any) -> Any:  # noqa: ANN401
        return command(connecting=_read_connecting(given), **given)

    decorated: Any = with_connecting
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def _read_connecting(given: dict[str, Any]) -> Connecting:
    """Take the connection's options out of a command's parameters.

    Raises:
        click.UsageError: the options do not fit together, or a file cannot be used.
        AwsError: requests cannot be signed.
    """
    urls, insecure = ",".join(given.pop("urls")), given.pop("insecure")
    user, password_file = _select_user(urls, given.pop("user"), given.pop("password_file"))
    chosen = {name: given.pop(name) for name in Connecting.__dataclass_fields__ if name in given}
    if chosen["key"] and not chosen["certificate"]:
        raise click.UsageError("expected the key's certificate too: --client-cert FILE")
    if chosen["aws_region"] and (user or password_file):
        context = click.get_current_context()
        name = "user" if user else "password_file"
        raise click.UsageError(
            "expected --user or --aws-region, found both: a request is signed or has a password"
            f" (--aws-region: {describe_origin(context, 'aws_region')}; --{name.replace('_', '-')}:"
            f" {describe_origin(context, name)})"
        )
    with_password = add_password(urls, user, password_file)
    # a password in the URL comes before the file, and standard input cannot be read again
    is_read = with_password != urls and password_file != STDIN
    connecting = Connecting(
        with_password, verifies=not insecure, password_file=password_file if is_read else None, **chosen
    )
    try:
        connecting.check()
        if "connect_timeout_s" in chosen:  # `serve`, which does not come back to them
            connecting.upstream().close()
    except ConnectionOptionError as error:
        raise click.UsageError(str(error)) from error
    return connecting


def _select_user(urls: str, user: str | None, password_file: str | None) -> tuple[str | None, str | None]:
    """Return user and password file, without what a stronger source gives in another form.

    That form is a URL with a user, or TWINRANK_PASSWORD. The weaker source is then the profile, mostly.
    """
    context = click.get_current_context()
    if is_stronger(context, "urls", "user") and urlsplit(get_first_url(urls)).username is not None:
        user = None
    is_in_profile = context.get_parameter_source("password_file") is ParameterSource.DEFAULT_MAP
    return user, None if is_in_profile and VARIABLES["password"] in os.environ else password_file
