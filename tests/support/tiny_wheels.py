"""Wheels like those that a multilingual bundle is made of, with a tiny model."""

import json
from pathlib import Path

from model_export.packages.multilingual import TOKENIZER, WEIGHTS
from model_export.packages.wheel import PackageFile
from tests.support.block_model import make_block_file
from tests.support.data_wheel import write_wheel

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789:,.-äöüéждинкомпьютерчепод電車の時刻表如何学习"
PIECES = (*SPECIAL, "▁", *dict.fromkeys(LETTERS), "▁the", "▁file", "▁query", "▁passage", "<mask>")
ROWS = len(PIECES) + 5
"""A table may have more rows than there are pieces."""


def make_wheels(folder: Path) -> tuple[PackageFile, PackageFile]:
    """Write both wheels into `folder`; return what is expected of the weights and of the tokeniser."""
    weights = make_block_file(PIECES, rows=ROWS)
    tokenizer = json.dumps(make_tokenizer(), ensure_ascii=False).encode()
    return write_wheel(folder, WEIGHTS, weights), write_wheel(folder, TOKENIZER, tokenizer)


def make_tokenizer() -> dict[str, object]:
    """Return a Unigram tokeniser, as SentencePiece's become: with the piece ▁ for a space."""
    ids = {piece: place for place, piece in enumerate(PIECES)}
    special = [*SPECIAL, "<mask>"]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": ids[piece], "content": piece, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
            for piece in special
        ],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {
                piece: {"id": piece, "ids": [ids[piece]], "tokens": [piece]} for piece in ("<s>", "</s>")
            },
        },
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "model": {"type": "Unigram", "unk_id": 3, "vocab": [[piece, -float(len(PIECES) - place) / 50]
                                                           for place, piece in enumerate(PIECES)]},
    }  # fmt: skip
