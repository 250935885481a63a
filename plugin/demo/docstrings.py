"""Real text that every machine has: the docstrings of Python's standard library, as documents.

Modules written in Python are read with `ast` and never imported. Those written in C have no source, so the
well-known ones are imported (all of them are safe to import) and read by `inspect`.
"""

import ast
import importlib
import inspect
import re
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

SKIPPED = frozenset(
    (
        *("antigravity.py", "distutils", "encodings", "ensurepip", "idlelib", "lib2to3", "msilib"),
        *("pydoc_data", "site-packages", "test", "tests", "this.py", "tkinter", "turtledemo"),
    )
)
"""Folders and files of the standard library that are tests, programs, tables or about to go."""

C_MODULES = (
    *("array", "binascii", "builtins", "cmath", "errno", "fcntl", "gc", "io", "itertools", "json", "marshal"),
    *("math", "mmap", "operator", "os", "pwd", "re", "resource", "select", "signal", "socket", "sqlite3"),
    *("struct", "sys", "syslog", "time", "unicodedata", "zlib"),
)
"""Modules whose functions are written in C, in whole or in part; one that a platform lacks is left out."""


class Documented(msgspec.Struct, frozen=True, rename={"id": "_id"}):
    """One documented function, class or method, as it is indexed; `id` is its full dotted name."""

    id: str
    module: str
    name: str
    signature: str
    kind: str
    text: str


def read_standard_library(limit: int | None = None) -> list[Documented]:
    """Return the documented public names of the standard library, the same list on every call.

    A text that several names share is kept once, and so is a name that is in C and in Python. With `limit`,
    the names nearest to the top of their modules are kept: functions and classes before methods.
    """
    names: dict[str, Documented] = {}
    for documented in (*_read_c_modules(), *_read_sources()):
        names.setdefault(documented.id, documented)
    texts: dict[str, Documented] = {}
    for documented in _sort(names.values()):
        texts.setdefault(documented.text, documented)
    return list(texts.values())[:limit]


def read_module(module: str, source: str) -> Iterator[Documented]:
    """Yield what a module's source documents: public functions, classes and methods.

    Raises:
        SyntaxError: the source is not Python of this version.
    """
    yield from _read_body(module, "", ast.parse(source).body)


def split_docstring(docstring: str, name: str) -> tuple[str, str]:
    """Return the first paragraph on one line, and the signature if the docstring begins with one.

    Docstrings of C functions often begin with their own call, as in `sleep(seconds)`: that line is the
    signature, and the text is what follows.
    """
    cleaned = inspect.cleandoc(docstring)
    call = re.match(rf"(?:\w+\.)*{re.escape(name)}(\([^\n]*\)[^\n]*)", cleaned)
    if call and cleaned[call.end() :].strip():
        return _join_paragraph(cleaned[call.end() :]), call[1].strip()
    return _join_paragraph(cleaned), ""


def _join_paragraph(text: str) -> str:
    return " ".join(re.split(r"\n\s*\n", text.strip(), maxsplit=1)[0].split())


def _sort(documents: Iterable[Documented]) -> list[Documented]:
    """Sort by depth of the name, so that a limit cuts methods first; then the shorter and earlier name.

    Of names that share a text the first is kept: `str.split`, not `str.rsplit`.
    """
    return sorted(documents, key=lambda d: (d.id.count("."), len(d.id), d.id))


def _read_sources() -> Iterator[Documented]:
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if any(part in SKIPPED or _is_private(part) for part in parts if part != "__init__.py"):
            continue
        names = [part.removesuffix(".py") for part in parts if part != "__init__.py"]
        if names:
            yield from read_module(".".join(names), path.read_text("utf-8", "replace"))


def _read_body(module: str, parent: str, body: Iterable[ast.stmt]) -> Iterator[Documented]:
    for node in body:
        if isinstance(node, ast.If | ast.Try):  # definitions that depend on the platform
            yield from _read_body(module, parent, [*node.body, *node.orelse])
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _read_definition(module, parent, node)


def _read_definition(
    module: str, parent: str, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
) -> Iterator[Documented]:
    if _is_private(node.name):
        return
    name = f"{parent}{node.name}"
    if isinstance(node, ast.ClassDef):
        yield from _make_document(module, name, "class", ast.get_docstring(node), "")
        yield from _read_body(module, f"{name}.", node.body)
    else:
        kind = "method" if parent else "function"
        yield from _make_document(module, name, kind, ast.get_docstring(node), f"({ast.unparse(node.args)})")


def _read_c_modules() -> Iterator[Documented]:
    for module in C_MODULES:
        try:
            imported = importlib.import_module(module)
        except ImportError:
            continue
        for name, value in inspect.getmembers(imported, _is_written_in_c):
            yield from _read_object(module, name, value)


def _is_written_in_c(value: Any) -> bool:  # noqa: ANN401  # a module's member may be anything
    return inspect.isbuiltin(value) or (inspect.isclass(value) and "__dict__" not in vars(value))


def _read_object(module: str, name: str, value: Any) -> Iterator[Documented]:  # noqa: ANN401
    owner = getattr(value, "__module__", None) or module
    if _is_private(name) or owner.lstrip("_") not in (module, "posix", "nt", *C_MODULES):
        return
    kind = "class" if inspect.isclass(value) else "function"
    yield from _make_document(module, name, kind, value.__doc__, _find_signature(value))
    if kind == "class":
        for member, function in inspect.getmembers(value, inspect.ismethoddescriptor):
            if not _is_private(member) and member in vars(value):
                doc = function.__doc__
                yield from _make_document(
                    module, f"{name}.{member}", "method", doc, _find_signature(function)
                )


def _find_signature(value: Any) -> str:  # noqa: ANN401
    try:
        return str(inspect.signature(value))
    except (ValueError, TypeError):  # older C functions have none; their docstring may
        return ""


def _make_document(
    module: str, name: str, kind: str, docstring: str | None, signature: str
) -> Iterator[Documented]:
    text, found = split_docstring(docstring or "", name.rpartition(".")[2])
    if len(text.split()) > 1:  # one word says nothing: "Internal", "Deprecated"
        yield Documented(f"{module}.{name}", module, name, f"{name}{signature or found}", kind, text)


def _is_private(name: str) -> bool:
    return name.startswith("_")
