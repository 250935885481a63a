"""How many tokens of a text a folder's model reads, and from which side it is padded and cut."""

from dataclasses import dataclass
from typing import Any

from model_export.errors import ExportError
from model_export.folders.files import ModelFiles, join

TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
SETTINGS_FILES = tuple(
    f"sentence_{kind}_config.json" for kind in ("bert", "roberta", "distilbert", "camembert", "xlm-roberta")
)
"""Names that sentence-transformers looks for, in this order; the first is today's."""

_FOLLOWED = {"max_seq_length", "do_lower_case"}
_HARMLESS: dict[str, tuple[object, ...]] = {
    "transformer_task": ("feature-extraction",),
    "module_output_name": ("token_embeddings",),
    "modality_config": ({"text": {"method": "forward", "method_output_name": "last_hidden_state"}},),
    "unpad_inputs": (True, False),
    "query_expansion": (),
    "processing_kwargs": ({},),
    "model_args": ({},),
    "config_args": ({},),
    "tokenizer_args": ({},),
}
"""Settings that may have these values; null is one of all."""


@dataclass(frozen=True)
class TextLimits:
    """The most tokens of a text, and whether texts are lower-cased first."""

    max_tokens: int
    lower_case: bool

    @classmethod
    def read(cls, files: ModelFiles, folder: str, positions: int) -> "TextLimits":
        """Read the settings of a transformer that has `positions` positions.

        Raises:
            ExportError: a file is malformed, or asks for something that a bundle does not do.
        """
        names = (join(folder, name) for name in SETTINGS_FILES)
        name = next((each for each in names if files.find(each) is not None), join(folder, SETTINGS_FILES[0]))
        settings = files.read_json_if_any(name, dict[str, Any]) or {}
        place = files.root / name
        for key, value in settings.items():
            if key not in _FOLLOWED and value is not None and value not in _HARMLESS.get(key, ()):
                raise ExportError(f"{place}: expected nothing that a bundle cannot do, found {key} {value!r}")
        tokenizer = files.read_json_if_any(join(folder, TOKENIZER_CONFIG_FILE), dict[str, Any]) or {}
        if tokenizer.get("auto_map"):
            raise ExportError(
                f"{files.root / join(folder, TOKENIZER_CONFIG_FILE)}: expected no auto_map, found"
                f" {tokenizer['auto_map']!r}: code that comes with a model is never run"
            )
        for key in ("padding_side", "truncation_side"):
            if tokenizer.get(key) not in (None, "right"):
                raise ExportError(
                    f"{files.root / join(folder, TOKENIZER_CONFIG_FILE)}: expected {key} right, found"
                    f" {tokenizer[key]!r}: a bundle pads and cuts texts on the right"
                )
        most = settings.get("max_seq_length")
        if most is not None and (type(most) is not int or most < 3):
            raise ExportError(f"{place}: expected max_seq_length of at least 3 tokens, found {most!r}")
        usual = tokenizer.get("model_max_length")
        if most is None and isinstance(usual, int) and usual >= 3:
            most = usual  # transformers writes a huge number if there is no limit
        return cls(min(positions, most or positions), settings.get("do_lower_case") is True)
