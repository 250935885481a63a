"""What changes a base without gradients: constants, or a layer, for its query prefix."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from model_export.data.sources import sources
from model_export.data.split import split_examples
from model_export.model.base import Base, load
from model_export.model.base_tokenizer import TOKENIZER_FILE
from model_export.model.tokens import QUERY_TOKENS
from model_export.model.twin import TwinBert
from model_export.train.config import Config
from model_export.train.constant_prefix import with_constant_prefix
from model_export.train.model_folder import MODEL_FOLDER, placed, write_model
from model_export.train.projection import projected

Say = Callable[[str], None]


def project(config: Config, base: str, towards: str, num_texts: int, out: Path, say: Say) -> Path:
    """Fit a layer behind a base's query tower that stands for a query prefix; return the new base.

    Raises:
        TrainingError: too few texts, or towers that do not go together.
        ExportError: a base cannot be had.
    """
    start, texts = load(base), _some_queries(config, num_texts)
    tokenizer = _tokenizer_file(start, out)
    found = projected(
        start, load(towards), texts, out / "vectors", tokenizer=tokenizer, max_tokens=QUERY_TOKENS
    )
    say(f"{len(texts)} texts; mean cosine of those held back {found.after:.4f} (before {found.before:.4f})")
    return _changed(config, found.base, out)


def prefix(config: Config, base: str, num_texts: int, out: Path, say: Say) -> Path:
    """Make a base's query prefix constant; return the new base.

    Raises:
        TrainingError: no prefix, or too few texts.
        ExportError: the base cannot be had.
    """
    start, texts = load(base), _some_queries(config, num_texts)
    tokenizer = _tokenizer_file(start, out)
    found = with_constant_prefix(start, texts, tokenizer=tokenizer, max_tokens=QUERY_TOKENS)
    say(f"{len(texts)} texts; mean cosine of those held back {found.after:.4f} (before {found.before:.4f})")
    return _changed(config, found.base, out)


def _some_queries(config: Config, count: int) -> list[str]:
    learned, _ = split_examples(config.data, seed=config.run.seed)
    texts = list(learned.queries.values())
    return [texts[i] for i in np.random.default_rng(config.run.seed).permutation(len(texts))[:count]]


def _tokenizer_file(base: Base, out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    (out / TOKENIZER_FILE).write_text(base.tokenizer)
    return out / TOKENIZER_FILE


def _changed(config: Config, base: Base, out: Path) -> Path:
    trained_on = dict.fromkeys((*base.trained_on, *sources(config.data)))
    described = replace(base, trained_on=tuple(trained_on))
    twin = TwinBert(described.query, described.document, described.crossing)
    return placed(out / MODEL_FOLDER, lambda folder: write_model(folder, twin, described))
