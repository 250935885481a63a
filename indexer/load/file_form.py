"""The form of a file, recognised by its beginning: one that can be read, or another one by its name."""

import json
import re
from enum import Enum, auto

from indexer.errors import InputError
from indexer.load.bulk_file import INSTEAD, OTHER_ACTIONS, is_hit, parse_action
from indexer.load.lines import UTF8_MARK


class Form(Enum):
    """A form that is read."""

    LINES = auto()
    """One JSON object a line."""
    BULK = auto()
    """The body of a `_bulk` request: an action line before each document."""
    HITS = auto()
    """One hit a line, with `_id` and `_source`, as elasticdump writes them."""
    VALUES = auto()
    """One array of objects, or objects that are spread over lines."""


_PIPED = "FILE | twinrank index INDEX -"
_ICONV = "convert it: iconv -f {} -t UTF-8 " + _PIPED

_MARKS = (
    (b"PAR1", "Parquet", "convert it with DuckDB: COPY (FROM 'FILE') TO 'FILE.jsonl' (FORMAT json)"),
    (b"Obj\x01", "Avro", "convert it to JSON lines, with avro-tools tojson for example"),
    (b"ORC", "ORC", "convert it to JSON lines"),
    (b"ARROW1", "Arrow", "convert it to JSON lines"),
    (b"SQLite format 3\0", "a SQLite database", "export a table as JSON lines"),
    (b"\x28\xb5\x2f\xfd", "zstd", f"unpack it: zstd -dc {_PIPED}"),
    (b"\x04\x22\x4d\x18", "lz4", f"unpack it: lz4 -dc {_PIPED}"),
    (b"\x1f\x9d", "compress (.Z)", f"unpack it: zcat {_PIPED}"),
    (b"7z\xbc\xaf\x27\x1c", "7z", "unpack it first"),
    (b"PK\x03\x04", "zip (Excel's .xlsx is zip too)", f"unpack it: unzip -p {_PIPED}"),
    (b"%PDF", "PDF", "extract its text first"),
    (b"\xff\xfe\0\0", "UTF-32", _ICONV.format("UTF-32")),
    (b"\0\0\xfe\xff", "UTF-32", _ICONV.format("UTF-32")),
    (b"\xff\xfe", "UTF-16", _ICONV.format("UTF-16")),
    (b"\xfe\xff", "UTF-16", _ICONV.format("UTF-16")),
    (b"{\0", "UTF-16", _ICONV.format("UTF-16LE")),
    (b"[\0", "UTF-16", _ICONV.format("UTF-16LE")),
    (b"\0{", "UTF-16", _ICONV.format("UTF-16BE")),
    (b"\0[", "UTF-16", _ICONV.format("UTF-16BE")),
)  # fmt: skip
"""First bytes, the form's name, and what to do."""

_TAR_PLACE, _TAR_MARK = 257, b"ustar"

_FIRST_KEY = re.compile(r'\{\s*"([^"\\]*)"\s*:')
_OPENS = re.compile(r"\{\s*\Z|[\[{,]\s*\Z")
_SOURCE = re.compile(r'"_source"\s*:\s*\{')
_CELLS = (("\t", "TSV", "tsv"), (",", "CSV", "csv"), (";", "CSV with semicolons", "csv --ifs ';'"))


def recognise_form(head: bytes, *, ended: bool) -> Form:
    """Recognise the form of a file that begins with `head`; `ended` says that this is all of it.

    Raises:
        InputError: it is of another form, which the message names.
    """
    _refuse_marks(head)
    content = head.removeprefix(UTF8_MARK).lstrip()
    _refuse_encoding(content)
    text = content.decode("utf-8", "replace")
    if not text:
        return Form.LINES
    if text.startswith("["):
        return Form.VALUES
    if not text.startswith("{"):
        raise _make_error(*_name_text_form(text))
    return _recognise_objects(text, ended=ended)


def _recognise_objects(text: str, *, ended: bool) -> Form:
    first, newline, rest = text.partition("\n")
    value = _parse(first)
    if value is not None:
        _refuse_object(value)
        if parse_action(value):
            _refuse_actions(text.splitlines())
            return Form.BULK
        return Form.HITS if is_hit(value) else Form.LINES
    spread = _parse_beginning(text)
    if spread is not None:
        _refuse_object(spread)
        return Form.VALUES
    return _recognise_cut(first, text, ended=ended or not (newline and rest))


def _recognise_cut(first: str, text: str, *, ended: bool) -> Form:
    """Judge by the first key, since no object ends within what was read."""
    key = _FIRST_KEY.match(text)
    if key and key[1] in ("took", "_scroll_id") and '"hits"' in text:
        raise _make_search_error()
    if "\n" not in text and key and key[1] in ("_index", "_id") and _SOURCE.search(text):
        return Form.HITS
    return Form.VALUES if _OPENS.search(first.rstrip()) and not ended else Form.LINES


def _refuse_object(value: object) -> None:
    """Refuse responses of OpenSearch that are no documents."""
    keys = value.keys() if isinstance(value, dict) else set()
    if not isinstance(value, dict):
        return
    hits = value.get("hits")
    if isinstance(hits, dict) and isinstance(hits.get("hits"), list):
        raise _make_search_error()
    if keys == {"error", "status"}:
        raise _make_error(f"an error of OpenSearch: {json.dumps(value)[:200]}", "ask it again")
    if keys == {"docs"} and isinstance(value["docs"], list):
        raise _make_error(
            "the response to _mget", "take its documents: jq -c '.docs[]' FILE | twinrank index INDEX -"
        )
    if keys >= {"took", "errors", "items"}:
        raise _make_error("the response to _bulk", "give the file that was sent")


def _make_search_error() -> InputError:
    return _make_error(
        "the response to a search, which is one page of an index",
        f"take its documents: jq -c '.hits.hits[]' {_PIPED}",
    )


def _refuse_actions(lines: list[str]) -> None:
    """Refuse a bulk that deletes or updates at its beginning, before anything of it is written."""
    for line in lines:
        action = parse_action(_parse(line))
        if action and action[0] in OTHER_ACTIONS:
            raise _make_error(f"a _bulk request with {action[0]} actions", INSTEAD)


def _refuse_marks(head: bytes) -> None:
    for mark, name, remedy in _MARKS:
        if head.startswith(mark):
            raise _make_error(name, remedy)
    if head[_TAR_PLACE:].startswith(_TAR_MARK):
        raise _make_error("a tar archive", f"unpack it: tar -xOf {_PIPED}")


def _refuse_encoding(content: bytes) -> None:
    """Refuse a file with two or more lines beyond ASCII of which none is UTF-8; one may be damaged."""
    beyond = [line for line in content.splitlines(keepends=True)[:-1] if not line.isascii()]
    if len(beyond) > 1 and not any(map(_is_utf8, beyond)):
        raise _make_error("text that is no UTF-8, such as Latin-1", _ICONV.format("ISO-8859-1"))


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _name_text_form(text: str) -> tuple[str, str]:
    """Return the form of a text that does not begin with a JSON object, and what to do."""
    first = text.partition("\n")[0].strip()
    if "\0" in text[:1000]:
        return "binary data", "convert it to JSON lines"
    if first.startswith("<"):
        return "XML or HTML", "convert it to JSON lines"
    for mark, name, miller in _CELLS:
        if mark in first:
            return (
                f"{name} ({first[:60]})",
                f"convert it: mlr --i{miller} --ojsonl cat FILE | twinrank index INDEX -",
            )
    return f"text ({first[:60]})", "write each document as one JSON object on a line"


def _parse(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _parse_beginning(text: str) -> object:
    """Return the object with which a text begins, None if none ends in it."""
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        return None


def _make_error(found: str, remedy: str) -> InputError:
    return InputError(f"expected documents as JSON lines, found {found}. Nothing was written; {remedy}")
