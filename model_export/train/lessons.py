"""What a query tower learns over stored vectors: labels of some queries, and vectors to keep near to."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model_export.data.examples import Examples, join_examples, read_source, select_queries
from model_export.data.sources import name_source
from model_export.data.split import NearDuplicates, remove_calibration, split
from model_export.errors import TrainingError
from model_export.labelling.groups import GroupMaker
from model_export.labelling.pool import Pool, make_pool
from model_export.labelling.recipe import Recipe, read_recipe
from model_export.model.base_tokenizer import TOKENIZER_FILE
from model_export.model.tokens import QUERY_TOKENS, tokenise
from model_export.model.tower import Tower
from model_export.train.align import encode_with_bundle
from model_export.train.config import Config
from model_export.train.labelled import LabelledExamples
from reranker.arrays import Floats, Positions
from reranker.encoder import Ids

Rows = npt.NDArray[np.int64]
Say = Callable[[str], None]

UNTAUGHT = -1


@dataclass(frozen=True)
class TaughtRows:
    """A teacher's scores of queries' candidates, both (taught queries, candidates).

    `candidates` are rows of the passages' vectors. The first candidate is the passage that a query is from.
    """

    candidates: Rows
    scores: Floats


@dataclass(frozen=True)
class Lessons:
    """Queries to learn from, their tokens, and the vectors to keep near to, `targets` (queries, dim).

    `places` (queries,) has each query's row in `taught`, or UNTAUGHT.
    """

    texts: Sequence[str]
    ids: Sequence[Ids]
    targets: Floats
    places: Positions
    taught: TaughtRows


@dataclass(frozen=True)
class LessonBook:
    """The queries to learn from, those that are held back, and the stored vectors of all passages.

    `passages` is (passages, dim). `identity` changes with anything that is learned.
    """

    learned: Lessons
    held_back: Lessons
    passages: Floats
    identity: str


def make_lessons(config: Config, labelled: LabelledExamples, tower: Tower, out: Path, say: Say) -> LessonBook:
    """Return what `tower` learns as `config` says, from labels whose texts were found.

    Queries are those of the labels' recipe and of further sources in `data.train`. None is kept for
    calibration, or is like a query of an excluded collection. The passages' vectors are what the recipe's
    bundle stores of them, and the targets what it gives for queries.

    Raises:
        TrainingError: a source cannot be read, or teaches nothing, or the bundle is not the recipe's.
    """
    recipe, stored = _read_recipe(config), Path(config.distil.stored_vectors or "")
    pool = make_pool(recipe)
    queries = _collect_queries(config, pool)
    sides = _split_queries(config, recipe, queries)
    taught = _select_taught(config, recipe, labelled)
    passages, rows = _encode_passages(pool, taught, stored, threads=config.run.threads)
    found = []
    for side, what in zip(sides, ("queries to learn from", "queries that are held back"), strict=True):
        lessons = _make_side(config, side, tower, out, (recipe.bundle, taught, rows), what=what)
        say(f"{len(lessons.ids)} {what}, {len(lessons.taught.scores)} of them taught")
        found.append(lessons)
    return LessonBook(
        found[0], found[1], passages, repr((labelled.identity, sorted(queries.queries.items())))
    )


def _read_recipe(config: Config) -> Recipe:
    if config.teacher.recipe is None:
        raise TrainingError("expected the recipe of the labels in teacher.recipe, found none")
    return read_recipe(Path(config.teacher.recipe))


def _collect_queries(config: Config, pool: Pool) -> Examples:
    """Return all queries, without texts that occur again; an id begins with the number of its source."""
    own = Examples({each.id: each.text for each in pool.queries})
    further = list(enumerate(config.data.train))[len(pool.recipe.sources) :]
    if not further:
        return own
    read = [select_queries(read_source(source), source, number) for number, source in further]
    clean = remove_calibration(join_examples(read), config.data.train)
    near, seen = NearDuplicates(pool.kept_out), set(own.queries.values())
    for i, text in clean.queries.items():
        if text not in seen and not near.has(text):
            seen.add(text)
            own.queries[i] = text
    return own


def _split_queries(config: Config, recipe: Recipe, queries: Examples) -> tuple[Examples, Examples]:
    """Return the queries to learn from, and those that are held back: whole sources, if some are named.

    A tower learns which passages the teacher likes, and queries of the same passages reward that. So it is
    measured better on sources that it does not learn from.
    """
    data, names = config.data, set(config.teacher.held_back)
    if not names:
        return split(queries, data.dev_share, limit=data.max_dev, seed=config.run.seed)
    _check_names(recipe, names, "held_back")
    kept = [query for query in queries.queries if _name_source_of(recipe, query) in names]
    learned = [query for query in queries.queries if _name_source_of(recipe, query) not in names]
    return queries.select(learned), queries.select(kept[: data.max_dev])


def _select_taught(
    config: Config, recipe: Recipe, labelled: LabelledExamples
) -> dict[str, tuple[tuple[str, ...], Floats]]:
    """Return the candidates and scores of each query of a source in which the teacher teaches.

    Raises:
        TrainingError: the recipe has no such source, or none of its queries has labels.
    """
    teaches, held_back = config.teacher.teaches, config.teacher.held_back
    _check_names(recipe, teaches or (), "teaches")
    found = {
        group.query: (group.documents, scores)
        for group, scores in zip(labelled.groups, labelled.scores, strict=True)
        if teaches is None or _name_source_of(recipe, group.query) in {*teaches, *held_back}
    }
    if not found:
        raise TrainingError("expected labels of the sources in teacher.teaches, found none")
    return found


def _check_names(recipe: Recipe, names: Iterable[str], key: str) -> None:
    if unknown := sorted(set(names) - {name_source(each.path) for each in recipe.sources}):
        raise TrainingError(f"expected sources of the recipe in teacher.{key}, found {unknown}")


def _name_source_of(recipe: Recipe, query: str) -> str | None:
    """Return the name of a query's source in the recipe, or None if it is from further sources."""
    number = int(query.partition("/")[0])
    return name_source(recipe.sources[number].path) if number < len(recipe.sources) else None


def _encode_passages(
    pool: Pool, taught: Mapping[str, tuple[tuple[str, ...], Floats]], cache: Path, *, threads: int
) -> tuple[Floats, dict[str, int]]:
    """Return the vectors of the passages of all taught sources, and each one's row."""
    maker = GroupMaker(pool, cache, threads=threads)
    used = {query.partition("/")[0] for query in taught}
    parts, rows = [], dict[str, int]()
    for number, source in enumerate(pool.sources):
        if str(number) in used:
            parts.append(maker.encode_passages(list(source.documents.values())))
            rows |= {i: len(rows) + place for place, i in enumerate(source.documents)}
    return np.concatenate(parts), rows


def _make_side(
    config: Config,
    side: Examples,
    tower: Tower,
    out: Path,
    labels: tuple[str, Mapping[str, tuple[tuple[str, ...], Floats]], Mapping[str, int]],
    *,
    what: str,
) -> Lessons:
    bundle, taught, rows = labels
    texts = list(side.queries.values())
    prefix = config.model.query_prefix
    ids = tokenise(tower, out / TOKENIZER_FILE, texts, prefix=prefix, max_tokens=QUERY_TOKENS)
    folder = Path(config.distil.targets) if config.distil.targets else out / "targets"
    targets = encode_with_bundle(bundle, config.run, texts, folder, what=f"vectors of {what}")
    places = np.full(len(texts), UNTAUGHT)
    candidates: list[list[int]] = []
    scores: list[Floats] = []
    for place, query in enumerate(side.queries):
        documents, of_query = taught.get(query, ((), None))
        if of_query is not None and all(each in rows for each in documents):
            places[place] = len(scores)
            candidates.append([rows[each] for each in documents])
            scores.append(of_query)
    if not scores:
        raise TrainingError(f"expected labels of some {what}, found none: label more, or another dev_share")
    return Lessons(texts, ids, targets, places, TaughtRows(np.array(candidates), np.stack(scores)))
