"""A profile: a TOML file with options, found and read."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

Table = tuple[str, ...]
"""The name of a table, part by part; empty for what is above all tables."""


class ProfileError(click.UsageError):
    """A profile cannot be used: says which file, which line, and what was expected."""


@dataclass(frozen=True)
class Profile:
    """A profile as it was read: its file, its text and its content."""

    file: Path
    text: str
    content: Mapping[str, Any]

    def describe_place(self, table: Table, key: str) -> str:
        """Return the file, with the key's line if it can be found."""
        line = find_line(self.text, table, key)
        return str(self.file) if line is None else f"{self.file}, line {line}"

    def make_error(self, message: str, table: Table, key: str) -> ProfileError:
        """Return an error about a key."""
        return ProfileError(f"{self.describe_place(table, key)}: {message}")


def read_profile(chosen: Path | None) -> Profile | None:
    """Return the profile in the chosen file, else in the default one; None if there is no default one.

    Raises:
        ProfileError: the file cannot be read, or is not TOML.
    """
    file = _find_default() if chosen is None else chosen
    if file is None:
        return None
    try:
        text = file.read_text(encoding="utf-8")
        return Profile(file, text, tomllib.loads(text))
    except OSError as error:
        raise ProfileError(f"expected a profile in TOML, found: {error}") from error
    except ValueError as error:  # both of a text that is not UTF-8 and of one that is not TOML
        raise ProfileError(f"{file}: expected a profile in TOML, found: {error}") from error


def _find_default() -> Path | None:
    """Return the user's own profile, None if there is none or this user may not look for it."""
    chosen = os.environ.get("XDG_CONFIG_HOME")
    try:
        folder = Path(chosen) if chosen else Path.home() / ".config"
        file = folder / "twinrank" / "profile.toml"
        file.stat()
    except (OSError, RuntimeError):  # RuntimeError: this user has no home
        return None
    return file


def find_line(text: str, table: Table, key: str) -> int | None:
    """Return the line of a key in a table, or that of the table's own header if the key is a table.

    None if it is written in a form that is not looked for, such as a dotted key.
    """
    current: Table = ()
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+([^\[\]]+)\]", line)
        if header:
            current = tuple(part.strip().strip("\"'") for part in header[1].split("."))
            if current == (*table, key):
                return number
        elif current == table and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
    return None
