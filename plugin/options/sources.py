"""Where options get their values: the command line, else a variable, else the profile, else the default."""

import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click

from plugin.options.origins import remember_profile, show_options
from plugin.options.profile import Table, read_profile
from plugin.options.profile_entries import SHARED, option_key, select_entries

PREFIX = "TWINRANK_"

_SERVE = ("serve",)
"""The command whose variables do not have its name: the one that is configured as a service."""

_NO_OPTIONS = frozenset({"PASSWORD", "HOME", "DATA", "PROFILE"})
"""Variables that are not an option's, without the prefix."""

_SHOWS = "plugin.options.sources.shows"


def add_sources(command: click.Command, path: Table) -> None:
    """Let a command's options come from variables and a profile too; in a group, those of its commands.

    Adds `--profile` and `--show-options`. `path` is the command's name, below its group's if it has one. A
    second call changes nothing.
    """
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            add_sources(each, (*path, name))
        return
    if any(each.name == "profile" for each in command.params):
        return
    given = (each for each in command.params if isinstance(each, click.Option) and not each.hidden)
    options = {option_key(option): option for option in given}
    for key, option in options.items():
        option.envvar, option.show_envvar = make_variable(path, key), True
    command.params += [_make_profile_option(path, options), _make_show_option()]
    if command.callback is not None:
        command.callback = _show_or_call(command.callback, options)


def make_variable(path: Table, key: str) -> str:
    """Return the variable of a command's option: with the command's name, unless it is shared or serve's."""
    own = () if key in SHARED or path == _SERVE else path
    return PREFIX + "_".join([*own, key]).replace("-", "_").upper()


def _make_profile_option(path: Table, options: Mapping[str, click.Option]) -> click.Option:
    return click.Option(
        ["--profile"],
        is_eager=True,  # before the options that it gives values to
        expose_value=False,
        type=click.Path(path_type=Path),
        metavar="FILE",
        envvar=f"{PREFIX}PROFILE",
        show_envvar=True,
        callback=partial(_apply_profile, path, options),
        help="TOML file with options.  [default: twinrank/profile.toml in $XDG_CONFIG_HOME or ~/.config]",
    )


def _apply_profile(
    path: Table,
    options: Mapping[str, click.Option],
    context: click.Context,
    _parameter: click.Parameter,
    file: Path | None,
) -> None:
    if context.resilient_parsing:  # of a shell that completes a word
        return
    _warn_of_unread_variables(context, path, options)
    profile = read_profile(file)
    if profile is not None:
        entries = select_entries(profile, context.find_root(), path, options)
        context.default_map = {name: entry.value for name, entry in entries.items()}
        remember_profile(context, profile.file, entries)


def _list_other_prefixes(context: click.Context, path: Table) -> Iterator[str]:
    """Yield how the variables of other commands begin: of the command's own group, and of those above it."""
    above = context.parent
    for level in reversed(range(len(path))):
        if above is None or not isinstance(above.command, click.Group):
            return
        others = [each for each in above.command.list_commands(above) if each != path[level]]
        yield from ("_".join((*path[:level], each, "")).replace("-", "_").upper() for each in others)
        above = above.parent


def _warn_of_unread_variables(
    context: click.Context, path: Table, options: Mapping[str, click.Option]
) -> None:
    """Print a warning for each variable that is nearly one of this command's."""
    others = tuple(_list_other_prefixes(context, path))
    own = {str(option.envvar).removeprefix(PREFIX) for option in options.values()}
    command = "_".join(path).replace("-", "_").upper() + "_"
    known = own | _NO_OPTIONS | {key.upper() for key in SHARED}
    for variable in sorted(os.environ):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in known or name.startswith(others):
            continue
        meant = [each for each in (name.removeprefix(command), command + name) if each in own]
        near = meant or difflib.get_close_matches(name, own, n=1, cutoff=0.8)
        if near:
            click.echo(f"Warning: {variable} is not read. Did you mean {PREFIX}{near[0]}?", err=True)


def _make_show_option() -> click.Option:
    return click.Option(
        ["--show-options"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_remember_to_show,
        help="Show the value and the origin of every option, and do nothing else.",
    )


def _remember_to_show(context: click.Context, _parameter: click.Parameter, shows: bool) -> None:
    context.meta[_SHOWS] = shows


def _show_or_call(callback: Callable[..., Any], options: Mapping[str, click.Option]) -> Callable[..., Any]:
    @wraps(callback)
    def show_or_call(**given: Any) -> Any:  # noqa: ANN401  # click's own
        context = click.get_current_context()
        return show_options(context, options) if context.meta.get(_SHOWS) else callback(**given)

    return show_or_call
