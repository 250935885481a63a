"""What a profile gives the options of one command: keys and values, checked."""

import difflib
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from plugin.options.profile import Profile, ProfileError, Table
from reranker.bundle import split_version

SHARED = frozenset(
    {
        "upstream", "ca", "insecure", "client_cert", "client_key", "user", "password_file", "aws_region",
        "aws_service", "bundle", "settings", "proxy", "token_file", "json", "combiner_file",
    }
)  # fmt: skip
"""Options that mean the same in every command that has them. A profile names them above its tables."""

NEAR = 0.8
"""How like a shared key (`difflib`, 0 to 1) a wrong one must be to be taken for it at once."""

_READABLE_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""Permissions that a file with a password must not have."""


@dataclass(frozen=True)
class ProfileEntry:
    """An option's value as on the command line, a tuple if it is repeatable, and its place in the profile."""

    value: str | tuple[str, ...]
    origin: str


def option_key(option: click.Option) -> str:
    """Return an option's name in a profile: its first long name, `_` for `-`."""
    return _to_key(next(name for name in option.opts if name.startswith("--"))[2:])


def select_entries(
    profile: Profile, root: click.Context, path: Table, options: Mapping[str, click.Option]
) -> dict[str, ProfileEntry]:
    """Return what a profile gives a command's options, by parameter. Its table comes before shared keys.

    `root` is the context of all commands, `path` the command's name below its group's if it has one, and
    `options` are the command's by key.

    Raises:
        ProfileError: a key is unknown or has a value of another kind, or the file holds a password.
    """
    _check_tables(profile, root)
    found: dict[str, ProfileEntry] = {}
    for table, content in _read_tables(profile, path):
        for written, value in content.items():
            key = _to_key(written)
            if not table and key not in SHARED:
                raise _refuse_key(profile, root, table, written, options)
            if key in options:
                texts = _read_value(profile, table, written, value, options[key])
                _check_secrecy(profile, table, written, texts)
                found[str(options[key].name)] = ProfileEntry(texts, profile.describe_place(table, written))
            elif table:
                raise _refuse_key(profile, root, table, written, options)
    return found


def _to_key(name: str) -> str:
    return name.replace("-", "_")


def _check_tables(profile: Profile, root: click.Context) -> None:
    """Check every table's name, whatever command is run."""
    names = root.command.list_commands(root) if isinstance(root.command, click.Group) else []
    for name, value in profile.content.items():
        if isinstance(value, dict) and name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"Did you mean [{near[0]}]?" if near else f"The commands are: {', '.join(names)}"
            raise profile.make_error(f"expected a table for a command, found [{name}]. {hint}", (), name)


def _read_tables(profile: Profile, path: Table) -> Iterator[tuple[Table, dict[str, Any]]]:
    """Yield the keys above all tables, then those of the command's table, each with the table's name.

    Raises:
        ProfileError: a key is there twice, or is in the table of a group.
    """
    content: Mapping[str, Any] = profile.content
    for depth in range(len(path) + 1):
        table = path[:depth]
        values = {key: value for key, value in content.items() if not isinstance(value, dict)}
        _check_twins(profile, table, values)
        if 0 < depth < len(path) and values:
            raise profile.make_error(
                f"expected a table such as [{'.'.join(path)}], found a value", table, next(iter(values))
            )
        if depth == len(path):
            yield table, dict(content)
        elif not depth:
            yield table, values
        if depth < len(path):
            content = content.get(path[depth], {})
            if not isinstance(content, dict):
                return  # a key with the name of a command, refused above


def _check_twins(profile: Profile, table: Table, values: Mapping[str, Any]) -> None:
    for key in values:
        twin = key.replace("_", "-")
        if twin != key and twin in values:
            raise profile.make_error(f"expected one of {key} and {twin}, found both", table, twin)


def _refuse_key(
    profile: Profile, root: click.Context, table: Table, key: str, options: Mapping[str, click.Option]
) -> ProfileError:
    """Return an error that names the nearest key, with its table; `options` are those of its command."""
    if _to_key(key) == "password":
        return profile.make_error(
            "a profile holds no password. Write it into a file of its own, and name that with password_file",
            table, key,
        )  # fmt: skip
    if table:
        own = SHARED.union(name for name, option in options.items() if _is_listed(option))
        near = difflib.get_close_matches(_to_key(key), sorted(own), n=1)
        hint = f". Did you mean {near[0]}?" if near else ""
        return profile.make_error(f"expected an option of {' '.join(table)}, found {key}{hint}", table, key)
    return profile.make_error(
        f"expected a table, or an option that several commands share, found {key}{_find_hint(root, key)}",
        table, key,
    )  # fmt: skip


def _find_hint(root: click.Context, key: str) -> str:
    """Return a sentence about the key that is nearest to one above all tables; empty if none is near."""
    # a misspelt shared key is the likeliest, and it needs no import of every command
    if near := difflib.get_close_matches(_to_key(key), sorted(SHARED), n=1, cutoff=NEAR):
        return f". Did you mean {near[0]}?"
    places = _find_places(root)
    near = difflib.get_close_matches(_to_key(key), places, n=1)
    if not near:
        return ""
    tables = places[near[0]]
    under = " or ".join(f"[{'.'.join(each)}]" for each in sorted(tables))
    return f". Did you mean {near[0]}?" if () in tables else f". Did you mean {near[0]} under {under}?"


def _find_places(root: click.Context) -> dict[str, set[Table]]:
    """Return every key of every command with the tables that it may be in; imports all commands."""
    places: dict[str, set[Table]] = {key: {()} for key in SHARED}
    for path, command in _find_commands(root.command, root):
        for option in command.params:
            if isinstance(option, click.Option) and _is_listed(option):
                places.setdefault(option_key(option), set()).add(path)
    return places


def _is_listed(option: click.Option) -> bool:
    return not option.hidden and option.expose_value


def _find_commands(
    command: click.Command, context: click.Context, *path: str
) -> Iterator[tuple[Table, click.Command]]:
    """Yield every command that is no group, with its name."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        if inner is not None:
            yield from _find_commands(inner, context, *path, name)


def _read_value(
    profile: Profile,
    table: Table,
    key: str,
    value: Any,  # noqa: ANN401  # any TOML value
    option: click.Option,
) -> str | tuple[str, ...]:
    """Return a value as on the command line; click converts and checks it."""
    many = value if isinstance(value, list) and option.multiple else [value]
    if not all(isinstance(each, str | int | float) for each in many):
        kinds = "a text, a number, true or false" + (", or a list of them" if option.multiple else "")
        raise profile.make_error(f"expected {kinds} for {key}, found {_describe_kind(value)}", table, key)
    texts = tuple(_resolve_file(profile, _to_text(each), option) for each in many)
    return texts if option.multiple else texts[0]


def _to_text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _describe_kind(value: object) -> str:
    return "a table" if isinstance(value, dict) else "a list" if isinstance(value, list) else str(value)


def _resolve_file(profile: Profile, text: str, option: click.Option) -> str:
    """Return a file's name as seen from the profile's folder, and any other value as it is.

    A bundle's folder may be a name, so it is looked for and not assumed.
    """
    takes_file = isinstance(option.type, click.Path | click.File) or option.metavar in ("FILE", "FOLDER")
    if not takes_file or text in ("-", ""):
        return text
    given = Path(text).expanduser()
    beside = profile.file.absolute().parent / given
    is_there = beside.exists() or split_version(beside)[0].exists()
    return str(given) if option.metavar == "FOLDER" and not is_there else str(beside)


def _check_secrecy(profile: Profile, table: Table, key: str, value: str | tuple[str, ...]) -> None:
    """Refuse a URL with a password if others can read the file."""
    texts = (value,) if isinstance(value, str) else value
    mode = stat.S_IMODE(profile.file.stat().st_mode)
    if mode & _READABLE_BY_OTHERS and any(_has_password(url) for text in texts for url in text.split(",")):
        raise profile.make_error(
            f"{key} holds a password, and others can read this file (mode {mode:o})."
            f" Use user and password_file, or: chmod 600 {profile.file}", table, key,
        )  # fmt: skip


def _has_password(text: str) -> bool:
    try:
        return "://" in text and urlsplit(text.strip()).password is not None
    except ValueError:
        return False
