"""What a student learns from a label file: the queries and candidates in it, found by their keys."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_export.data.examples import Examples, join_examples
from model_export.errors import TrainingError
from model_export.labelling.label_file import Labels, check_labels, hash_candidate, hash_query, read_labels
from model_export.labelling.recipe import hash_recipe, read_recipe, read_sources
from model_export.train.negatives import Group
from reranker.arrays import Floats

MAX_MISSING = 0.01
"""The largest share of labels whose texts may be missing."""


@dataclass(frozen=True)
class LabelledExamples:
    """The examples that have labels, a group for each query, and the teacher's scores.

    `scores` is (groups, candidates) float32 logits. `identity` changes with the labels.
    """

    examples: Examples
    groups: list[Group]
    scores: Floats
    identity: str

    def select(self, queries: Examples) -> tuple[list[Group], Floats]:
        """Return the groups of these examples' queries, and their scores (groups, candidates)."""
        rows = [i for i, group in enumerate(self.groups) if group.query in queries.queries]
        return [self.groups[i] for i in rows], self.scores[rows]


def read_labelled(
    file: Path, recipe_file: Path, *, teacher: str | None, say: Callable[[str], None]
) -> LabelledExamples:
    """Find the texts of a label file in the sources of its recipe.

    `teacher` is the digest of the teacher whose labels they must be; None: of any.

    Raises:
        TrainingError: the labels are damaged, of another recipe or teacher, a source is missing or has
            changed, or more than MAX_MISSING of the labels have no text.
    """
    labels, recipe = read_labels(file), read_recipe(recipe_file)
    parts, named = read_sources(recipe)
    check_labels(labels, file, recipe=hash_recipe(recipe, named), teacher=teacher)
    whole = join_examples(parts)
    found, missing = _find_rows(labels, whole)
    total = labels.scores.size
    say(f"{len(found):,} labelled queries; {missing:,} of {total:,} labels are of texts that are not found")
    if missing > MAX_MISSING * total or not found:
        raise TrainingError(
            f"expected texts for at least {1 - MAX_MISSING:.0%} of the labels of {file} in the sources of"
            f" {recipe_file}, found none for {missing:,} of {total:,}"
        )
    groups = [_make_group(query, candidates, whole) for query, candidates, _ in found]
    scores = labels.scores[[row for _, _, row in found]].astype(np.float32)
    kept = whole.select(group.query for group in groups)
    identity = hashlib.sha256(f"{labels.header} {groups}".encode() + scores.tobytes()).hexdigest()
    return LabelledExamples(kept, groups, scores, identity)


def _find_rows(labels: Labels, whole: Examples) -> tuple[list[tuple[str, list[str], int]], int]:
    """Return query, candidates and row of each row that is whole, and how many labels have no text."""
    queries = _map_keys(whole.queries, hash_query)
    documents = _map_keys(whole.documents, hash_candidate)
    found, missing = [], 0
    for row, (key, keys) in enumerate(zip(labels.queries.tolist(), labels.candidates.tolist(), strict=True)):
        query = queries.get(key)
        candidates = [documents[each] for each in keys if each in documents]
        if query is None:
            missing += len(keys)
        elif len(candidates) < len(keys):
            missing += len(keys) - len(candidates)
        else:
            found.append((query, candidates, row))
    return found, missing


def _map_keys(texts: Mapping[str, str], make_key: Callable[[str], int]) -> dict[int, str]:
    """Return the id of each key's text; a key of two texts is left out, because it names neither."""
    first: dict[int, str] = {}
    ambiguous = set()
    for i, text in texts.items():
        known = first.setdefault(make_key(text), i)
        if texts[known] != text:
            ambiguous.add(make_key(text))
    return {key: i for key, i in first.items() if key not in ambiguous}


def _make_group(query: str, candidates: list[str], whole: Examples) -> Group:
    answers = {whole.documents[i] for i in whole.list_relevant(query)}
    labels = tuple(float(whole.documents[each] in answers) for each in candidates)
    return Group(query, tuple(candidates), labels)
