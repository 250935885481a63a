"""A transformer's `config.json`: which kind it is, and what of it no bundle can follow."""

from collections.abc import Mapping
from typing import Any

from model_export.errors import ExportError
from model_export.folders.files import ModelFiles, join

CONFIG_FILE = "config.json"

_ENCODERS = ("Model", "ForMaskedLM", "ForPreTraining")
"""How the names of classes end whose weights hold an encoder and at most heads beside it."""

_Values = Mapping[str, tuple[tuple[object, ...], str]]

_ONLY: _Values = {
    "auto_map": ((None,), "code that comes with a model is never run"),
    **dict.fromkeys(
        ("attn_implementation", "_attn_implementation"),
        ((None, "eager", "sdpa"), "other code for attention may be fetched from elsewhere"),
    ),
    "quantization_config": (
        (None,),
        "the exporter rounds weights itself: give the model as it was before quantization",
    ),
    "is_decoder": ((None, False), "a decoder reads a text from left to right only"),
    "is_encoder_decoder": ((None, False), "a bundle has an encoder alone"),
    "add_cross_attention": ((None, False), "a bundle has an encoder alone"),
}
"""Key -> the supported values, and why others are refused. `None` means that the key is missing."""

_OWN_GRAPH: _Values = {
    "position_embedding_type": ((None, "absolute"), "the exporter's graph adds a position to each token"),
    "pruned_heads": ((None, {}), "the exporter's graph has all heads"),
    "hidden_act": ((None, "gelu"), "the exporter's graph computes the exact gelu"),
    "activation": ((None, "gelu"), "the exporter's graph computes the exact gelu"),
}
"""What is expected besides of a model whose graph the exporter writes."""


def read_config(files: ModelFiles, folder: str) -> dict[str, Any]:
    """Return a transformer's settings.

    Raises:
        ExportError: the file is missing or malformed, or describes a model that no bundle can have.
    """
    name = join(folder, CONFIG_FILE)
    config = files.read_json(name, dict[str, Any], why="it describes the transformer")
    place = files.root / name
    if not isinstance(config.get("model_type"), str):
        raise ExportError(f"{place}: expected model_type, found {config.get('model_type')!r}")
    _check_values(str(place), config, _ONLY)
    classes = config.get("architectures") or []
    if unknown := [str(each) for each in classes if not str(each).endswith(_ENCODERS)]:
        raise ExportError(
            f"{place}: expected architectures that end in {', '.join(_ENCODERS)}, found {', '.join(unknown)}:"
            " a classifier (a cross-encoder is one) gives no vectors"
        )
    if files.find(join(folder, "adapter_config.json")) is not None:
        raise ExportError(
            f"expected whole weights in {files.root / folder}, found adapter_config.json: merge the adapter"
            " into its base model first (peft: merge_and_unload, save_pretrained)"
        )
    return config


def check_own_graph(where: str, config: Mapping[str, Any]) -> None:
    """Check that the exporter's graph computes what the settings say.

    Raises:
        ExportError: it does not.
    """
    _check_values(where, config, _OWN_GRAPH)


def read_size(where: str, config: Mapping[str, Any], key: str, most: int, default: object = None) -> int:
    """Return a size, which is a whole number of at least 1.

    Raises:
        ExportError: it is none, or larger than `most`.
    """
    value = config.get(key, default)
    if type(value) is not int or not 0 < value <= most:
        raise ExportError(f"{where}: expected {key} from 1 to {most}, found {value!r}")
    return value


def _check_values(where: str, config: Mapping[str, Any], expected: _Values) -> None:
    for key, (values, why) in expected.items():
        found = config.get(key)
        # 0 equals false in Python, but in a config one may be a mistake for the other.
        if not any(found == each and type(found) is type(each) for each in values):
            named = " or ".join("none" if each in (None, {}) else str(each) for each in values)
            raise ExportError(f"{where}: expected {key} {named}, found {found!r}: {why}")
