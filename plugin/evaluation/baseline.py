"""The baseline of a gate: what each query was worth when it was written. A file to commit."""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from plugin.errors import CommandError
from plugin.evaluation.evaluate import Evaluation

FORMAT = 1
METRIC = "ndcg@10"


class BaselineError(CommandError):
    """A baseline cannot be used: says what was expected and found, and what to do."""


class BaselineQuery(msgspec.Struct, frozen=True):
    """One query's value in the reranked order. `judgments` is a digest of its judgements."""

    query: str
    value: float
    judgments: str


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate compares with.

    `bundles` are the bundles that reranked. `pinned` names the queries that must not fall at all.
    """

    format: int = FORMAT
    index: str
    bundles: tuple[str, ...]
    metric: str = METRIC
    relevant: float = 1
    pinned: tuple[str, ...] = ()
    queries: dict[str, BaselineQuery]


def make_baseline(evaluation: Evaluation, pinned: Collection[str] = ()) -> Baseline:
    """Return the baseline that an evaluation is.

    Raises:
        BaselineError: a pinned query was not evaluated.
    """
    queries = {
        result.id: BaselineQuery(result.text, round(result.after, 6), digest_grades(result.grades))
        for result in evaluation.results
    }
    if lost := sorted(set(pinned) - set(queries)):
        raise BaselineError(f"expected judged queries to pin, found no {', '.join(lost)} among them")
    return Baseline(
        index=evaluation.collection.name,
        bundles=evaluation.bundles,
        relevant=evaluation.relevant,
        pinned=tuple(sorted(set(pinned))),
        queries=queries,
    )


def read_baseline(file: Path, index: str) -> Baseline:
    """Read a baseline of this index.

    Raises:
        BaselineError: it cannot be read, is not valid, or it is another index's.
    """
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Baseline)
    except OSError as error:
        raise BaselineError(f"expected a baseline in {file}, found: {error}") from error
    except msgspec.MsgspecError as error:
        raise BaselineError(f"expected a baseline as --update writes it in {file}, found: {error}") from error
    if (found.format, found.metric) != (FORMAT, METRIC):
        raise BaselineError(
            f"{file}: expected format {FORMAT} and metric {METRIC}, found {found.format} and {found.metric}."
            " Delete it, and write it again with --update"
        )
    if found.index != index:
        raise BaselineError(f"{file}: expected a baseline of {index}, found one of {found.index}")
    return found


def write_baseline(file: Path, baseline: Baseline) -> None:
    """Write a baseline, one query a line, so that a change is small in a diff.

    Raises:
        BaselineError: the file cannot be written.
    """
    content = msgspec.to_builtins(baseline)
    queries = content.pop("queries")
    head = json.dumps(content, indent=1, ensure_ascii=False).removesuffix("\n}")
    rows = ",\n".join(
        f"  {json.dumps(id_, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"
        for id_, value in queries.items()
    )
    try:
        file.write_text(f'{head},\n "queries": {{\n{rows}\n }}\n}}\n', encoding="utf-8")
    except OSError as error:
        raise BaselineError(f"expected to write the baseline to {file}, found: {error}") from error


def digest_grades(grades: Mapping[str, float]) -> str:
    """Return a digest that changes if a judgement does."""
    rows = sorted((document, float(grade)) for document, grade in grades.items())
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
