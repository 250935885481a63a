"""Check from `config.json` that the exporter's graph computes exactly that model."""

from pathlib import Path
from typing import Any

from model_export.errors import ExportError
from model_export.model.json_files import read_json

CONFIG_FILE = "config.json"
ADAPTER_FILE = "adapter_config.json"

SUPPORTED = (
    "twinrank-export takes BERT encoders (model_type bert), as BGE v1.5 in English, E5 v2, GTE and MiniLM are"
)

_ENCODERS = ("BertModel", "BertForMaskedLM", "BertForPreTraining")
"""Classes whose weights hold an encoder and at most heads beside it, which an encoder does not use."""

_ONLY: dict[str, tuple[tuple[object, ...], str]] = {
    "model_type": (("bert",), SUPPORTED),
    "auto_map": ((None,), "code that comes with a model is never run"),
    "quantization_config": (
        (None,),
        "the exporter rounds weights itself: give the model as it was before quantization",
    ),
    "position_embedding_type": ((None, "absolute"), SUPPORTED),
    "hidden_act": (("gelu",), "the exporter's graph computes the exact gelu"),
    "pad_token_id": (
        (None, 0),
        "a model whose padding is another token often counts its positions from there, as RoBERTa does",
    ),
    "is_decoder": ((None, False), "a decoder reads a text from left to right only"),
    "add_cross_attention": ((None, False), SUPPORTED),
    "pruned_heads": ((None, {}), "the exporter's graph has all heads"),
}
"""Key -> the supported values, and why others are refused. `None` means that the key is missing."""


def check_architecture(folder: Path) -> dict[str, Any]:
    """Check that the model in `folder` is the BERT that the graph is written for, and return its config.

    Raises:
        ExportError: `config.json` cannot be read, or describes another model.
    """
    file = folder / CONFIG_FILE
    config = read_json(file, dict[str, Any])
    for key, (values, why) in _ONLY.items():
        found = config.get(key, "gelu" if key == "hidden_act" else None)
        # 0 equals false in Python, but in a config one may be a mistake for the other.
        if not any(found == each and type(found) is type(each) for each in values):
            raise ExportError(f"{file}: expected {key} {_format_values(values)}, found {found!r}: {why}")
    classes = config.get("architectures") or []
    if unknown := [name for name in classes if name not in _ENCODERS]:
        raise ExportError(
            f"{file}: expected architectures of {', '.join(_ENCODERS)}, found {', '.join(map(str, unknown))}:"
            " a classifier (a cross-encoder is one) or another model that is built on BERT gives no vectors"
        )
    if (folder / ADAPTER_FILE).exists():
        raise ExportError(
            f"expected whole weights in {folder}, found {ADAPTER_FILE}: merge the adapter into its base"
            " model first (peft: merge_and_unload, save_pretrained)"
        )
    rows = config.setdefault("vocab_size", 30_522)
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        raise ExportError(f"{file}: expected vocab_size as a whole number, found {rows!r}")
    return config


def _format_values(values: tuple[object, ...]) -> str:
    return " or ".join("none" if each in (None, {}) else str(each) for each in values)
