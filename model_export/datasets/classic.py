"""Converters of the classic test collections: Cranfield, CACM, and NPL (Vaswani)."""

import html
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

from model_export.datasets.converted import CollectionDocument, Converted, Judgement, join_lines
from model_export.errors import ExportError

_CRANFIELD_DOCUMENTS, _CRANFIELD_QUERIES = 1400, 225
"""What Cranfield has; the carrying repository has appended documents and a query of its own."""

_CRANFIELD_GRADES = {"1": 4, "2": 3, "3": 2, "4": 1, "5": 0}
"""Cranfield's codes, from 1 (a complete answer) to 5 (of no interest), and their grades."""

_SOURCE_CODE = "-1"
"""The code of the paper that a query was made from."""


def convert_cranfield(folder: Path) -> Converted:
    """Convert `cran.all.1400`, `cran.qry` and `cranqrel`.

    Queries are known by their position, as the judgements have it. The papers that queries were made from go
    to the table `source_docs`: they are no hits.
    """
    documents = [
        CollectionDocument(number, _cut_title(fields.get("W", ""), title := fields.get("T", "")), title)
        for number, fields in _read_smart_records(folder / "cran.all.1400")
        if int(number) <= _CRANFIELD_DOCUMENTS
    ]
    asked = [fields["W"] for _, fields in _read_smart_records(folder / "cran.qry")][:_CRANFIELD_QUERIES]
    rows = [line.split()[:3] for line in _read_text(folder / "cranqrel").splitlines() if line.strip()]
    kept = [row for row in rows if int(row[0]) <= _CRANFIELD_QUERIES and int(row[1]) <= _CRANFIELD_DOCUMENTS]
    sources = [(query, document) for query, document, code in kept if code == _SOURCE_CODE]
    graded = [row for row in kept if row[2] != _SOURCE_CODE]
    qrels = [(query, document, _CRANFIELD_GRADES[code]) for query, document, code in graded]
    return Converted(
        documents,
        {"": {str(number): text for number, text in enumerate(asked, 1)}},
        {"": qrels},
        {"source_docs": [("query-id", "corpus-id"), *sources]},
    )


def convert_cacm(folder: Path) -> Converted:
    """Convert `cacm.tar.gz` (a page an article), `topics.cacm.txt` and `qrels.cacm.txt`."""
    documents = []
    with tarfile.open(folder / "cacm.tar.gz") as archive:
        for member in sorted(archive.getmembers(), key=lambda each: each.name):
            content = archive.extractfile(member)
            if content is not None and member.name.endswith(".html"):
                documents.append(_convert_article(Path(member.name).stem, content.read().decode("latin-1")))
    judged = _read_trec_qrels(_read_text(folder / "qrels.cacm.txt"))
    return Converted(
        documents,
        {"": dict(_read_trec_documents(_read_text(folder / "topics.cacm.txt")))},
        {"": [(query, _format_article_name(document), grade) for query, document, grade in judged]},
    )


def convert_npl(folder: Path) -> Converted:
    """Convert Terrier's `doc-text.trec`, `query-text.trec` and `qrels`; queries become lower case."""
    texts = _read_trec_documents(_read_text(folder / "doc-text.trec"))
    documents = [CollectionDocument(number, text) for number, text in texts]
    queries = {number: text.lower() for number, text in _read_topics(_read_text(folder / "query-text.trec"))}
    return Converted(documents, {"": queries}, {"": list(_read_trec_qrels(_read_text(folder / "qrels")))})


def _read_smart_records(file: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the number and the fields (`T`, `W`, ...) of each record in SMART's format."""
    for record in re.split(r"^\.I ", _read_text(file), flags=re.MULTILINE)[1:]:
        number, _, rest = record.partition("\n")
        pieces = re.split(r"^\.([A-Z])\s*$", rest, flags=re.MULTILINE)
        fields: dict[str, str] = {}
        for name, text in zip(pieces[1::2], pieces[2::2], strict=True):
            fields[name] = join_lines(f"{fields.get(name, '')} {text}")  # a text may come in two pieces
        yield number.strip(), fields


def _cut_title(text: str, title: str) -> str:
    """Return a text that does not begin with its title."""
    return text.removeprefix(title).strip() if title else text


def _convert_article(number: str, page: str) -> CollectionDocument:
    """Return the document of a page: its first paragraph is the title.

    Its issue ("CACM December, 1958") is left out. So are the archive's own line ("CA581203 JB March 22,
    1978") and the citations after it.
    """
    content = html.unescape(re.sub(r"</?(?:html|pre)>", "", page)).strip()
    content = re.split(r"^CA\d{6}", content, maxsplit=1, flags=re.MULTILINE)[0]
    title, *paragraphs = [join_lines(each) for each in re.split(r"\n\s*\n", content)]
    kept = [each for each in paragraphs if each and not re.fullmatch(r"CACM \w+, ?\d{4}", each)]
    return CollectionDocument(number, " ".join(kept), title)


def _format_article_name(judged: str) -> str:
    """Return an article's name as its page has it: judgements leave zeros out."""
    return f"CACM-{int(judged.removeprefix('CACM-')):04}"


def _read_trec_documents(text: str) -> Iterator[tuple[str, str]]:
    """Yield number and text of each document in TREC's format."""
    for number, content in re.findall(r"<DOCNO>(.*?)</DOCNO>(.*?)</DOC>", text, re.DOTALL | re.IGNORECASE):
        yield number.strip(), join_lines(content)


def _read_topics(text: str) -> Iterator[tuple[str, str]]:
    """Yield number and text of each topic in TREC's format."""
    pattern = r"<num>\s*(?:Number:)?\s*(\d+)(?:</num>)?\s*<title>(.*?)<"
    for number, asked in re.findall(pattern, text, re.DOTALL):
        yield str(int(number)), join_lines(asked)


def _read_trec_qrels(text: str) -> Iterator[Judgement]:
    """Yield the judgements of lines of query, 0, document and grade."""
    for line in text.splitlines():
        if line.strip():
            query, _, document, grade = line.split()
            yield query, document, int(grade)


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ExportError(f"expected {file}, found: {error}") from error
