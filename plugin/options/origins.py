"""The origin of each option's value: command line, variable, profile or default."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from plugin.options.profile_entries import ProfileEntry

_ENTRIES = "plugin.options.origins.entries"
_FILE = "plugin.options.origins.file"


def remember_profile(context: click.Context, file: Path, entries: Mapping[str, ProfileEntry]) -> None:
    """Keep what the profile gave a command, for later messages."""
    context.meta[_FILE], context.meta[_ENTRIES] = str(file), entries


def describe_origin(context: click.Context, name: str) -> str:
    """Return where a parameter's value comes from, in words."""
    return _find_origins(context, name)[0]


def is_stronger(context: click.Context, name: str, other: str) -> bool:
    """Whether a parameter's value comes from a stronger source than another's. The default is weakest."""
    order = ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP
    ranks = {source: rank for rank, source in enumerate(order)}
    found, theirs = (context.get_parameter_source(each) for each in (name, other))
    weakest = len(order)
    return ranks.get(found, weakest) < ranks.get(theirs, weakest) if found and theirs else False


def locate_error(error: click.BadParameter) -> click.BadParameter:
    """Return an error that names the origin of the bad value, unless that is the command line.

    Click names the option's variable in each error, even if the value comes from elsewhere.
    """
    context, option = error.ctx, error.param
    if context is None or not isinstance(option, click.Option) or isinstance(error, click.MissingParameter):
        return error
    source = context.get_parameter_source(str(option.name))
    is_elsewhere = source in (ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)
    origin = f" ({describe_origin(context, str(option.name))})" if is_elsewhere else ""
    return click.BadParameter(error.message + origin, context, option, error.param_hint or option.opts)


def show_options(context: click.Context, options: Mapping[str, click.Option]) -> None:
    """Print each option with its value and origin, as JSON if `--json` is given."""
    rows = [_make_row(context, key, str(option.name)) for key, option in options.items()]
    file = context.meta.get(_FILE)
    if context.params.get("as_json"):
        click.echo(json.dumps({"profile": file, "options": rows}))
        return
    click.echo(f"profile: {file or 'none'}")
    widths = [max(len(str(row[column])) for row in rows) for column in ("option", "value")]
    for row in rows:
        over = f" (not {', '.join(row['over'])})" if row["over"] else ""
        click.echo(f"{row['option']:<{widths[0]}}  {row['value'] or '-':<{widths[1]}}  {row['from']}{over}")


def _make_row(context: click.Context, key: str, name: str) -> dict[str, Any]:
    origin, *over = _find_origins(context, name)
    value = _describe_value(context.params.get(name))
    return {"option": f"--{key.replace('_', '-')}", "value": value, "from": origin, "over": over}


def _find_origins(context: click.Context, name: str) -> list[str]:
    """Return the source of a parameter's value, then the sources that it won over."""
    found: list[str] = []
    option = next(each for each in context.command.params if each.name == name)
    entry: ProfileEntry | None = context.meta.get(_ENTRIES, {}).get(name)
    if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
        found.append("command line")
    if option.value_from_envvar(context) is not None:
        found.append(str(option.envvar))
    if entry is not None:
        found.append(entry.origin)
    return found or ["default"]


def _describe_value(value: Any) -> str | None:  # noqa: ANN401  # what click made of it
    """Return a value as a user would write it, without passwords; None if there is none."""
    if value is None or value == ():
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, frozenset):
        return ",".join(map(str, sorted(value)))
    if isinstance(value, tuple):
        return " ".join(str(_describe_value(each)) for each in value)
    if isinstance(value, Path):
        return str(value)
    return ",".join(_hide_password(each) for each in str(getattr(value, "name", value)).split(","))


def _hide_password(text: str) -> str:
    try:
        password = urlsplit(text).password if "://" in text else None
    except ValueError:
        return text
    return text.replace(f":{password}@", ":***@") if password else text
