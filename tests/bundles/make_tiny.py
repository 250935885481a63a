"""Make the base of the tiny bundle that tests use: a BERT of 2 layers with random weights from a seed.

`python -m tests.bundles.make_tiny BASE && python -m model_export export --base BASE --out tests/bundles/tiny`
"""

import json
import sys
from pathlib import Path

import torch
from transformers import BertConfig, BertModel

SEED = 2002
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = ("of", "to", "and", "in", "is", "it", "the", "file", "line", "read", "wait", "second", "how", "sort")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def make_tiny(folder: Path, *, layers: int = 2, dim: int = 32) -> Path:
    """Write config, weights, tokeniser and `base.json` of a random encoder into `folder`, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary()
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=dim,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * dim,
        max_position_embeddings=128,
        initializer_range=0.3,  # ten times BERT's: random weights of the usual size hardly tell texts apart
    )
    torch.manual_seed(SEED)
    model = BertModel(config, add_pooling_layer=False)
    with torch.no_grad():  # what every text shares, made small, so that vectors are well apart
        model.embeddings.position_embeddings.weight.mul_(0.1)
        model.embeddings.token_type_embeddings.weight.zero_()
    model.save_pretrained(folder)
    write_tokenizer(folder)
    (folder / "base.json").write_text(json.dumps(_description()))
    return folder


def write_tokenizer(folder: Path) -> int:
    """Write the tokeniser alone into `folder`, and return how many tokens it knows."""
    vocabulary = _vocabulary()
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer(vocabulary)))
    return len(vocabulary)


def _description() -> dict[str, object]:
    return {
        "name": "tiny",
        "pooling": "mean",
        "query_prefix": "",
        "origin": f"random weights, seed {SEED}",
        "licence": "Apache-2.0",
        "trained_on": [],
    }


def _vocabulary() -> dict[str, int]:
    pieces = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS), *",.?!-'", *WORDS]
    return {piece: number for number, piece in enumerate(pieces)}


def _tokenizer(vocabulary: dict[str, int]) -> dict[str, object]:
    return {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 99, "strategy": "LongestFirst", "stride": 0},
        "padding": None,
        "added_tokens": [
            {"id": vocabulary[token], "content": token, "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": False, "special": True}
            for token in SPECIAL
        ],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", vocabulary["[SEP]"]],
                           "cls": ["[CLS]", vocabulary["[CLS]"]]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    }  # fmt: skip


if __name__ == "__main__":
    make_tiny(Path(sys.argv[1]))
