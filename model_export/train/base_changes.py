"""Changes of a base without gradients: constants, or a layer, replace its query prefix."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from model_export.data.sources import describe_sources
from model_export.data.split import split_examples
from model_export.model.base import Base, load_base
from model_export.model.base_tokenizer import TOKENIZER_FILE
from model_export.model.tokens import QUERY_TOKENS
from model_export.model.twin import TwinBert
from model_export.train.config import Config
from model_export.train.constant_prefix import make_prefix_constant
from model_export.train.model_folder import MODEL_FOLDER, replace_folder, write_model
from model_export.train.projection import fit_projection

Say = Callable[[str], None]


def project(config: Config, base: str, towards: str, num_texts: int, out: Path, say: Say) -> Path:
    """Fit a layer after a base's query tower that replaces a query prefix; return the new base's folder.

    Raises:
        TrainingError: there are too few texts, or the towers do not fit each other.
        ExportError: a base cannot be loaded.
    """
    start, texts = load_base(base), _draw_queries(config, num_texts)
    tokenizer = _write_tokenizer(start, out)
    found = fit_projection(
        start, load_base(towards), texts, out / "vectors", tokenizer=tokenizer, max_tokens=QUERY_TOKENS
    )
    say(f"{len(texts)} texts; mean cosine of held-out texts {found.after:.4f} (before {found.before:.4f})")
    return _write_base(config, found.base, out)


def fix_prefix(config: Config, base: str, num_texts: int, out: Path, say: Say) -> Path:
    """Make a base's query prefix constant; return the new base's folder.

    Raises:
        TrainingError: there is no prefix, or there are too few texts.
        ExportError: the base cannot be loaded.
    """
    start, texts = load_base(base), _draw_queries(config, num_texts)
    tokenizer = _write_tokenizer(start, out)
    found = make_prefix_constant(start, texts, tokenizer=tokenizer, max_tokens=QUERY_TOKENS)
    say(f"{len(texts)} texts; mean cosine of held-out texts {found.after:.4f} (before {found.before:.4f})")
    return _write_base(config, found.base, out)


def _draw_queries(config: Config, count: int) -> list[str]:
    learned, _ = split_examples(config.data, seed=config.run.seed)
    texts = list(learned.queries.values())
    return [texts[i] for i in np.random.default_rng(config.run.seed).permutation(len(texts))[:count]]


def _write_tokenizer(base: Base, out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    (out / TOKENIZER_FILE).write_text(base.tokenizer)
    return out / TOKENIZER_FILE


def _write_base(config: Config, base: Base, out: Path) -> Path:
    trained_on = dict.fromkeys((*base.trained_on, *describe_sources(config.data.train)))
    described = replace(base, trained_on=tuple(trained_on))
    twin = TwinBert(described.query, described.document, described.crossing)
    return replace_folder(out / MODEL_FOLDER, lambda folder: write_model(folder, twin, described))
