"""Check that a base's tokenizer fits the model beside it, and reads texts as its authors intended."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from model_export.errors import ExportError
from model_export.model.json_files import read_json

TOKENIZER_FILE, TOKENIZER_CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"

_NORMALIZER_KEYS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
"""Key of `tokenizer_config.json` -> its name in BERT's normalizer in `tokenizer.json`."""

_UPPER, _LOWER = "A Größe IN TOKYO", "a größe in tokyo"


def check_tokenizer(folder: Path, content: str, *, rows: int, lower_case: bool = False) -> None:
    """Check the word pieces of `content` against a table of `rows` embeddings.

    With `lower_case`, the model expects lower-cased texts; the exporter leaves that to the tokenizer.

    Raises:
        ExportError: it cannot be read, fits another model, or reads texts differently from what the files
            beside it say.
    """
    file = folder / TOKENIZER_FILE
    tokenizer = _parse_tokenizer(file, content)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = tokenizer.get_vocab(with_added_tokens=True).values()
    largest = max(ids, default=0)
    if not rows // 2 <= largest < rows:
        raise ExportError(
            f"{file}: expected token ids up to the model's {rows - 1} (vocab_size {rows}), found {largest}:"
            " the tokenizer is another model's"
        )
    if len(tokenizer.encode("x").ids) == len(tokenizer.encode("x", add_special_tokens=False).ids):
        raise ExportError(
            f"{file}: expected a post_processor that puts special tokens ([CLS], [SEP]) around a text, found"
            " none"
        )
    if lower_case and tokenizer.encode(_UPPER).ids != tokenizer.encode(_LOWER).ids:
        raise ExportError(
            f"{file}: expected a tokenizer that lower-cases, as do_lower_case in {folder} says, found one"
            ' that does not: set "lowercase": true in its normalizer'
        )
    _check_config(folder, content)


def _parse_tokenizer(file: Path, content: str) -> Tokenizer:
    try:
        return Tokenizer.from_str(content)
    except Exception as error:  # the library raises nothing narrower
        raise ExportError(f"expected a tokenizer in {file}, found: {error}") from error


def _check_config(folder: Path, content: str) -> None:
    """Compare with `tokenizer_config.json`, whose values override the normalizer in transformers."""
    file = folder / TOKENIZER_CONFIG_FILE
    normalizer = json.loads(content).get("normalizer") or {}
    if not file.exists() or normalizer.get("type") != "BertNormalizer":
        return
    config = read_json(file, dict[str, Any])
    for key, name in _NORMALIZER_KEYS.items():
        if key in config and config[key] != normalizer.get(name):
            raise ExportError(
                f"expected one answer in {TOKENIZER_CONFIG_FILE} and {TOKENIZER_FILE} of {folder}, found"
                f" {key} {config[key]} and {name} {normalizer.get(name)}: make both what the model was"
                " trained with"
            )
