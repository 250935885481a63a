"""Models that compute what BERT computes, under other names: each becomes a BERT.

RoBERTa and XLM-RoBERTa count positions from after their padding's id. DistilBERT has no token types. MPNet
adds a bias for the distance of two tokens, the same in every layer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import BertConfig, BertModel

from model_export.errors import ExportError
from model_export.folders.config import check_own_graph, read_size
from model_export.folders.weights import Shapes, WeightFiles
from model_export.model.relative_attention import NUM_BUCKETS, RelativeAttention, spread_buckets

Config = Mapping[str, Any]

_POSITIONS, _TYPES = "embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"
_DISTANCES = "encoder.relative_attention_bias.weight"
_HEADS = (
    "pooler.",
    "cls.",
    "lm_head.",
    "vocab_transform.",
    "vocab_layer_norm.",
    "vocab_projector.",
    "embeddings.position_ids",
    "embeddings.token_type_ids",
)
"""Tensors of a checkpoint that an encoder does not use: heads for pretraining, and constants."""


@dataclass(frozen=True)
class Family:
    """How a kind of model differs from BERT.

    `keys` are BERT's names of settings -> this kind's, `fixed` are settings that it cannot change. `names`
    are parts of BERT's names of tensors -> this kind's. With `skips_padding`, a token's position is counted
    from after the padding's id.
    """

    prefix: str
    keys: Mapping[str, str]
    names: tuple[tuple[str, str], ...] = ()
    fixed: Mapping[str, Any] | None = None
    has_types: bool = True
    has_distances: bool = False
    skips_padding: bool = False


_KEYS = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "num_hidden_layers": "num_hidden_layers",
    "num_attention_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "max_position_embeddings": "max_position_embeddings",
    "hidden_act": "hidden_act",
    "layer_norm_eps": "layer_norm_eps",
}
_ROBERTA = Family("roberta.", _KEYS, skips_padding=True)
FAMILIES: Mapping[str, Family] = {
    "bert": Family("bert.", _KEYS),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "distilbert": Family(
        "distilbert.",
        _KEYS
        | {
            "hidden_size": "dim",
            "num_hidden_layers": "n_layers",
            "num_attention_heads": "n_heads",
            "intermediate_size": "hidden_dim",
            "hidden_act": "activation",
        },
        names=(
            ("encoder.layer.", "transformer.layer."),
            ("attention.self.query", "attention.q_lin"),
            ("attention.self.key", "attention.k_lin"),
            ("attention.self.value", "attention.v_lin"),
            ("attention.output.dense", "attention.out_lin"),
            ("attention.output.LayerNorm", "sa_layer_norm"),
            ("intermediate.dense", "ffn.lin1"),
            ("output.dense", "ffn.lin2"),
            ("output.LayerNorm", "output_layer_norm"),
        ),
        fixed={"layer_norm_eps": 1e-12},
        has_types=False,
    ),
    "mpnet": Family(
        "mpnet.",
        _KEYS,
        names=(
            ("attention.self.query", "attention.attn.q"),
            ("attention.self.key", "attention.attn.k"),
            ("attention.self.value", "attention.attn.v"),
            ("attention.output.dense", "attention.attn.o"),
            ("attention.output.LayerNorm", "attention.LayerNorm"),
        ),
        has_types=False,
        has_distances=True,
        skips_padding=True,
    ),
}
"""`model_type` -> how it differs from BERT."""

_DEFAULTS: Mapping[str, Any] = {
    "vocab_size": 30_522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
}
"""BERT's own settings, which a `config.json` may leave out."""

_LARGEST = {
    "vocab_size": 4_000_000,
    "hidden_size": 16_384,
    "num_hidden_layers": 128,
    "num_attention_heads": 256,
    "intermediate_size": 65_536,
    "max_position_embeddings": 65_535,
}


class EncoderReader:
    """Reads one encoder of FAMILIES as a BERT: settings and shapes at once, weights on `load`.

    Raises:
        ExportError: a setting is unknown or out of range, or the tensors are not those that the settings
            describe.
    """

    def __init__(self, where: str, config: Config, weights: WeightFiles) -> None:
        self.kind: str = config["model_type"]
        check_own_graph(where, config)
        self._where = where
        self._family = family = FAMILIES[self.kind]
        self._weights = weights
        self._settings = _read_settings(where, family, config)
        self._first_position = _find_first_position(where, family, config)
        self._names = self._find_names()

    @property
    def vocab_size(self) -> int:
        """The rows of the table of words."""
        size: int = self._settings["vocab_size"]
        return size

    @property
    def hidden_size(self) -> int:
        """The width of a token's state."""
        size: int = self._settings["hidden_size"]
        return size

    @property
    def max_tokens(self) -> int:
        """The most tokens of a text that have positions."""
        tokens: int = self._settings["max_position_embeddings"] - self._first_position
        return tokens

    def load(self) -> BertModel:
        """Return the model with its weights, in float32.

        Raises:
            ExportError: a file cannot be read, or a tensor holds NaN or an infinity.
        """
        tensors = self._weights.load(self._names)
        distances = tensors.pop(_DISTANCES, None)
        tensors[_POSITIONS] = tensors[_POSITIONS][self._first_position :].clone()
        if not self._family.has_types:
            tensors[_TYPES] = torch.zeros(1, self.hidden_size)
        model = self._build(self.max_tokens)
        model.load_state_dict(tensors, strict=False, assign=True)
        if distances is not None:
            bias = spread_buckets(distances, self.max_tokens)
            for layer in model.encoder.layer:
                attention: Any = layer.get_submodule("attention")
                attention.self = RelativeAttention(attention.self, bias)
        frozen: BertModel = model.train(mode=False)
        return frozen

    def _build(self, max_tokens: int) -> BertModel:
        config = BertConfig(
            **(self._settings | {"max_position_embeddings": max_tokens}),
            type_vocab_size=self._num_types,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        return BertModel(config, add_pooling_layer=False)

    def _find_names(self) -> dict[str, str]:
        """Return BERT's names of all tensors -> the files' names.

        Raises:
            ExportError: a tensor is missing, of another shape, or would be left out.
        """
        own = _strip_prefix(self._weights.shapes, self._family.prefix)
        types = own.get(_TYPES)
        shape = self._weights.shapes[types] if types else (1,)
        self._num_types = shape[0] if self._family.has_types else 1
        with torch.device("meta"):
            model = self._build(self._settings["max_position_embeddings"])
        expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        if not self._family.has_types:
            del expected[_TYPES]
        if self._family.has_distances:
            expected[_DISTANCES] = (NUM_BUCKETS, self._settings["num_attention_heads"])
        found = {name: own.get(self._rename(name), "") for name in expected}
        self._check_shapes(expected, found)
        self._check_rest(own.keys() - {self._rename(name) for name in expected})
        return found

    def _check_shapes(self, expected: Shapes, found: Mapping[str, str]) -> None:
        if missing := sorted(self._rename(name) for name, old in found.items() if not old):
            raise ExportError(
                f"expected the weights that {self._where} describes, found none of {missing[:4]}"
            )
        for name, shape in expected.items():
            if self._weights.shapes[found[name]] != shape:
                raise ExportError(
                    f"expected {found[name]} of the shape {shape}, as {self._where} says, found"
                    f" {self._weights.shapes[found[name]]}"
                )

    def _check_rest(self, unread: Iterable[str]) -> None:
        if left := sorted(name for name in unread if not name.startswith(_HEADS)):
            raise ExportError(
                f"expected weights of an encoder alone, as {self._where} says, found {left[:4]}, which would"
                " be left out: the model is another one"
            )

    def _rename(self, name: str) -> str:
        for bert, own in self._family.names:
            name = name.replace(bert, own)
        return name


def _strip_prefix(shapes: Shapes, prefix: str) -> dict[str, str]:
    """Return names without a model's prefix, and with today's names of normalisations -> the files' names."""
    spelled = {name: name.removeprefix(prefix) for name in shapes}
    return {
        new.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"): old
        for old, new in spelled.items()
    }


def _read_settings(where: str, family: Family, config: Config) -> dict[str, Any]:
    """Return BERT's settings of a config.

    Raises:
        ExportError: one is not a whole number in its range.
    """
    settings = {key: config.get(own, _DEFAULTS[key]) for key, own in family.keys.items()}
    settings |= family.fixed or {}
    for key, most in _LARGEST.items():
        read_size(where, config, family.keys[key], most, default=_DEFAULTS[key])
    if settings["hidden_size"] % settings["num_attention_heads"]:
        raise ExportError(
            f"{where}: expected {family.keys['hidden_size']} as a multiple of the heads, found"
            f" {settings['hidden_size']} and {settings['num_attention_heads']}"
        )
    buckets = config.get("relative_attention_num_buckets", NUM_BUCKETS)
    if family.has_distances and buckets != NUM_BUCKETS:
        raise ExportError(
            f"{where}: expected relative_attention_num_buckets {NUM_BUCKETS}, found {buckets!r}: transformers"
            f" computes with {NUM_BUCKETS}"
        )
    epsilon = settings["layer_norm_eps"]
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        raise ExportError(f"{where}: expected layer_norm_eps between 0 and 1, found {epsilon!r}")
    return settings


def _find_first_position(where: str, family: Family, config: Config) -> int:
    """Return the first row of the table of positions that a token can have.

    Raises:
        ExportError: the padding's id leaves no row.
    """
    if not family.skips_padding:
        return 0
    padding = 1 if family.has_distances else config.get("pad_token_id", 1)
    rows = config.get("max_position_embeddings", _DEFAULTS["max_position_embeddings"])
    if type(padding) is not int or not 0 <= padding < rows - 3:
        raise ExportError(
            f"{where}: expected a pad_token_id that leaves positions of {rows}, found {padding!r}:"
            " positions are counted from after it"
        )
    return padding + 1
