"""The student before training, as configured, from a base or from random weights."""

import copy
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import msgspec
import torch

from model_export.errors import TrainingError
from model_export.model.base import Base, load_base
from model_export.model.crossing import CosineCrossing, ResidualCrossing
from model_export.model.tower import Tower
from model_export.model.twin import TowerShape
from model_export.train.config import ModelSection
from model_export.train.token_states import initialise_embeddings
from reranker.tri_letters import FIRST_TRIGRAM, TriLetterTable, split_trigrams, split_words


def make_student(section: ModelSection, texts: Iterable[str], *, seed: int) -> Base:
    """Make the student; a vocabulary of trigrams comes from `texts`.

    Raises:
        TrainingError: the section contradicts itself, or its base or tokeniser cannot be used.
    """
    torch.manual_seed(seed)
    base = _load_base(section)
    if section.token_layers and (base is None or section.input != "word_pieces" or section.tokenizer):
        raise TrainingError(
            "expected a base with its own word pieces for token_layers, found none or another input"
        )
    tokenizer, rows = _make_tokenizer(section, base, texts)
    query = _make_query_tower(section, base, rows)
    document = query if section.shared or base is None else copy.deepcopy(base.document)
    if query is not document and query.dim != document.dim:
        raise TrainingError(
            f"expected a query tower of the documents' dimension {document.dim}, found {query.dim}: a smaller"
            " dimension needs shared = true, or `export --dim` after training"
        )
    residual = section.crossing == "residual"
    return Base(
        name=section.name,
        query=query,
        document=document,
        tokenizer=tokenizer,
        query_prefix=section.query_prefix,
        origin=base.origin if base else "random weights",
        licence=section.licence,
        trained_on=base.trained_on if base else (),
        crossing=ResidualCrossing(query.dim, section.crossing_hidden) if residual else CosineCrossing(),
        projected_prefix=base.projected_prefix if base else "",
        max_tokens=base.max_tokens if base else None,
        languages=base.languages if base else None,
    )


def _load_base(section: ModelSection) -> Base | None:
    base = load_base(section.base) if section.base else None
    if base is None:
        if section.prefix_of or section.lower_of:
            raise TrainingError("expected a base that prefix_of and lower_of change, found none")
        return None
    if section.prefix_of:
        constants = load_base(section.prefix_of)
        query = _add_constants(base.query, constants.query, section.prefix_layers)
        base = replace(base, query=query, projected_prefix=constants.projected_prefix)
    if section.lower_of:
        lower = load_base(section.lower_of).query
        base = replace(base, query=_put_before(base.query, lower, section.lower_layers))
    return base


def _add_constants(tower: Tower, other: Tower, layers: str | tuple[int, ...]) -> Tower:
    """Give each layer of `tower` the constants of the layer of `other` from which it was learned."""
    states, hidden = other.prefix_states, tower.bert.config.hidden_size
    if not states or tower.prefix_tokens or states[0].shape[1] != hidden:
        raise TrainingError(
            f"expected a prefix_of with constants in its layers (`prefix` makes one) of {hidden} values,"
            f" and a base without, found {other.prefix_tokens} and {tower.prefix_tokens} constant tokens,"
            f" of {other.bert.config.hidden_size} values"
        )
    kept = select_layers(layers, len(states))
    if len(kept) != tower.num_layers:
        raise TrainingError(
            f"expected prefix_layers for each of {tower.num_layers} layers, found {len(kept)}"
        )
    return tower.with_prefix([states[i] for i in kept])


def _put_before(tower: Tower, other: Tower, layers: str | tuple[int, ...]) -> Tower:
    """Put layers of `other` before those of `tower`.

    Over embeddings that already stand for layers, as the fast bundle's do, a layer of the whole tower changes
    a text's vector little (mean cosine 0.94), so a deeper tower begins near to where the smaller one ended.

    Raises:
        TrainingError: the towers' layers have other shapes.
    """
    shapes = [msgspec.structs.replace(TowerShape.from_tower(each), layers=0) for each in (tower, other)]
    if shapes[0] != shapes[1]:
        raise TrainingError(f"expected lower_of with layers like the base's, {shapes[0]}, found {shapes[1]}")
    own = len(tower.bert.encoder.layer)
    lower = other.with_layers(select_layers(layers, other.num_layers))
    made = tower.with_layers([*[0] * lower.num_layers, *range(own)])
    for place, layer in enumerate(lower.bert.encoder.layer):
        made.bert.encoder.layer[place] = layer
    return made


def select_layers(layers: str | tuple[int, ...], count: int) -> list[int]:
    """Return which of `count` layers are kept: `all`, `first:N`, `last:N`, `every:K`, or given numbers.

    Raises:
        TrainingError: `layers` is none of these, or names a layer that does not exist.
    """
    if isinstance(layers, tuple):
        kept = list(layers)
    else:
        word, _, number = layers.partition(":")
        n = int(number) if number.isdigit() else 0
        ways = {
            "all": range(count),
            "first": range(n),
            "last": range(count - n, count),
            "every": range(0, count, n or 1),
        }
        kept = list(ways.get(word, ())) if n or layers == "all" else []
    if not kept or not all(0 <= i < count for i in kept):
        raise TrainingError(
            f"expected layers as all, first:N, last:N, every:K or numbers below {count}, found {layers!r}"
        )
    return kept


def build_vocabulary(texts: Iterable[str], size: int) -> tuple[str, ...]:
    """Return the `size` most frequent trigrams of the texts' words, most frequent first."""
    counts = Counter(
        trigram for text in texts for word in split_words(text) for trigram in split_trigrams(word)
    )
    return tuple(sorted(counts, key=lambda trigram: (-counts[trigram], trigram))[:size])


def _make_tokenizer(section: ModelSection, base: Base | None, texts: Iterable[str]) -> tuple[str, int]:
    """Return the tokeniser's file and the number of embedding rows that its ids need."""
    if section.input == "tri_letters":
        if section.vocabulary:
            vocabulary = build_vocabulary(texts, section.vocabulary)
            table: dict[str, object] = {"type": "tri_letters", "vocabulary": vocabulary}
            return json.dumps(table, ensure_ascii=False), FIRST_TRIGRAM + len(vocabulary)
        if not section.buckets:
            raise TrainingError("expected buckets or a vocabulary for tri-letters, found neither")
        table = {"type": "tri_letters", "buckets": section.buckets}
        return json.dumps(table), TriLetterTable(buckets=section.buckets).num_rows
    if section.tokenizer is None and base is not None:
        return base.tokenizer, base.query.bert.config.vocab_size
    try:
        content = Path(section.tokenizer or "").read_text()
        return content, 1 + max(json.loads(content)["model"]["vocab"].values())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"expected a base, or a tokenizer file of word pieces, found {section.tokenizer!r}: {error}"
        ) from error


def _make_query_tower(section: ModelSection, base: Base | None, rows: int) -> Tower:
    if base is None:
        return TowerShape(
            rows=rows,
            layers=section.num_layers,
            hidden=section.hidden,
            heads=section.heads,
            intermediate=section.intermediate,
            max_tokens=section.max_tokens,
            input=section.input,
            pooling=section.pooling or "weighted",
            dim=section.dim,
        ).build()
    tower = base.query.with_layers(select_layers(section.layers, base.query.num_layers))
    if section.token_layers:
        initialise_embeddings(tower, base.query, section.token_layers, base.tokenizer)
    bert = tower.bert
    if rows != bert.config.vocab_size or section.input != tower.kind:
        bert.embeddings.word_embeddings = torch.nn.Embedding(rows, bert.config.hidden_size, padding_idx=0)
        torch.nn.init.normal_(bert.embeddings.word_embeddings.weight, std=0.02)
        bert.config.vocab_size = rows
    changed = section.pooling and section.pooling != tower.pooling.name
    pooling = section.pooling if changed and section.pooling else tower.pooling
    made = Tower(bert, pooling, kind=section.input, dim=section.dim)
    if section.dim is None:
        made.projection = tower.projection
    return made
