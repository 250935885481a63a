"""The tests and API descriptions that OpenSearch publishes as `org.opensearch:rest-api-spec`."""

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from opensearch.local.java import find_java
from opensearch.local.maven import Maven
from plugin.commands.local_server import find_home

VERSION = "3.1.0"
"""The newest on Maven Central; tests for later servers are not published there."""

Step = dict[str, Any]


@dataclass(frozen=True)
class SpecTest:
    """One test: its steps between those of its file's setup and teardown."""

    file: str
    name: str
    setup: tuple[Step, ...]
    steps: tuple[Step, ...]
    teardown: tuple[Step, ...]

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"


@dataclass(frozen=True)
class Spec:
    """The tests, and each API's description by its name."""

    tests: tuple[SpecTest, ...]
    apis: dict[str, Any]


def load_spec() -> Spec:
    """Read the published jar; Maven fetches it once.

    Raises:
        MavenError: it is not there and cannot be fetched.
    """
    with zipfile.ZipFile(_jar()) as jar:
        names = sorted(jar.namelist())
        apis: dict[str, Any] = {}
        for name in names:
            if re.fullmatch(r"rest-api-spec/api/[^_].*\.json", name):
                apis |= json.loads(jar.read(name))
        tests = [
            test
            for name in names
            if re.fullmatch(r"rest-api-spec/test/.*\.yml", name)
            for test in _tests(name.removeprefix("rest-api-spec/test/"), jar.read(name).decode())
        ]
    return Spec(tuple(tests), apis)


def _jar() -> Path:
    folder = find_home() / "rest-api-spec"
    file = folder / f"rest-api-spec-{VERSION}.jar"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        Maven(find_java()).copy(f"org.opensearch:rest-api-spec:{VERSION}:jar", folder)
    return file


def _tests(file: str, text: str) -> Iterator[SpecTest]:
    parts: dict[str, tuple[Step, ...]] = {}
    for document in yaml.load_all(text, _JacksonLikeLoader):
        parts |= {str(name): tuple(steps) for name, steps in (document or {}).items()}
    setup, teardown = parts.pop("setup", ()), parts.pop("teardown", ())
    for name, steps in parts.items():
        yield SpecTest(file, name, setup, steps, teardown)


class _JacksonLikeLoader(yaml.CSafeLoader):
    """Reads scalars as the Java runner does: dates, `yes` and `12:30` are strings."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012  # PyYAML's own way to start from nothing


for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    ("float", r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?$", list("-+.0123456789")),
    ("merge", r"^<<$", ["<"]),
):
    _JacksonLikeLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)
