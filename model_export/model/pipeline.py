"""Read the pipeline that sentence-transformers describes, and refuse what a bundle cannot do."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_export.errors import ExportError
from model_export.model.json_files import read_json
from model_export.model.prompts import PROMPTS_FILE, FolderPrompts, PromptChoice, parse_prompts

MODULES_FILE, ROUTER_FILE = "modules.json", "router_config.json"
TRANSFORMER_FILE = "sentence_bert_config.json"
POOLING_FOLDER = "1_Pooling"

_AFTER = ("Normalize", "Dropout")
"""Modules after the pooling that change nothing here: a bundle's vectors always have length 1."""

_POOLINGS = {
    "cls": "cls",
    "cls_token": "cls",
    "mean": "mean",
    "mean_tokens": "mean",
}
"""A mode as sentence-transformers spells it -> the name of a pooling here."""

_MODE = "pooling_mode"


@dataclass(frozen=True)
class Pipeline:
    """What the files say; `pooling` and `max_tokens` are None if no file gives them."""

    pooling: str | None = None
    max_tokens: int | None = None
    lower_case: bool = False
    leaves_prompt_out: bool = False
    prompts: FolderPrompts = field(default_factory=lambda: FolderPrompts({}))


def read_pipeline(folder: Path) -> Pipeline:
    """Read the files of `folder`, all of which may be missing.

    Raises:
        ExportError: a file is malformed, or asks for something that a bundle cannot do.
    """
    pooling_folder, normalized = _read_modules(folder)
    pooling, leaves_prompt_out = _read_pooling(folder / pooling_folder / "config.json")
    max_tokens, lower_case = _read_transformer(folder / TRANSFORMER_FILE)
    prompts = _read_prompts(folder / PROMPTS_FILE, is_normalised=normalized)
    return Pipeline(pooling, max_tokens, lower_case, leaves_prompt_out, prompts)


def check_description(folder: Path, pipeline: Pipeline, *, pooling: str, query_prefix: str) -> None:
    """Check `base.json` against the pipeline.

    Raises:
        ExportError: the two disagree.
    """
    if pipeline.pooling not in (None, pooling):
        raise ExportError(
            f"expected one pooling in {folder}, found {pooling!r} in base.json and {pipeline.pooling!r} in"
            " the pooling's config.json: the model was trained with the latter"
        )
    prompts = {name: text for name, text in pipeline.prompts.prompts.items() if text}
    if prompts and query_prefix not in pipeline.prompts.find_query_candidates().values():
        raise ExportError(
            f"expected as query_prefix in base.json of {folder} the prompt for queries in {PROMPTS_FILE},"
            f" found {query_prefix!r} and the prompts {prompts}"
        )
    if pipeline.leaves_prompt_out and query_prefix:
        raise ExportError(
            f"expected a pooling of all tokens in {folder}, found include_prompt false: a bundle cannot leave"
            " the query prefix out of the mean"
        )


def _read_modules(folder: Path) -> tuple[str, bool]:
    """Return the pooling's folder, and whether a module normalises vectors to length 1."""
    if (folder / ROUTER_FILE).exists():
        raise ExportError(
            f"expected one transformer for all texts in {folder}, found a Router ({ROUTER_FILE})"
        )
    file = folder / MODULES_FILE
    if not file.exists():
        return POOLING_FOLDER, False
    modules = read_json(file, list[dict[str, Any]])
    kinds = [str(module.get("type")).rpartition(".")[2] for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or any(kind not in _AFTER for kind in kinds[2:]):
        raise ExportError(
            f"{file}: expected the modules Transformer, Pooling and at most {' and '.join(_AFTER)}, found"
            f" {', '.join(kinds) or 'none'}: what the others do would be left out of the bundle"
        )
    if place := modules[0].get("path"):
        raise ExportError(
            f"{file}: expected the transformer's files in {folder} itself, found them in {place}: move them"
            ' up and set its path to ""'
        )
    return str(modules[1].get("path") or POOLING_FOLDER), "Normalize" in kinds


def _read_pooling(file: Path) -> tuple[str | None, bool]:
    """Return the pooling, and whether it leaves out a prompt's tokens."""
    if not file.exists():
        return None, False
    config = read_json(file, dict[str, Any])
    modes = [
        key.removeprefix(f"{_MODE}_") for key, on in config.items() if key.startswith(f"{_MODE}_") and on
    ]
    named = config.get(_MODE, [])
    modes += [named] if isinstance(named, str) else named
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        found = ", ".join(map(str, modes)) or "none"
        raise ExportError(f"{file}: expected one pooling mode, cls_token or mean_tokens, found {found}")
    return _POOLINGS[modes[0]], config.get("include_prompt") is False


def _read_transformer(file: Path) -> tuple[int | None, bool]:
    """Return the most tokens of a text, and whether texts are lower-cased first."""
    config = read_json(file, dict[str, Any]) if file.exists() else {}
    most = config.get("max_seq_length")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 3):
        raise ExportError(f"{file}: expected max_seq_length of at least 3 tokens, found {most!r}")
    return most, config.get("do_lower_case") is True


def _read_prompts(file: Path, *, is_normalised: bool) -> FolderPrompts:
    """Return the prompts, none of which is for documents."""
    config = read_json(file, dict[str, Any]) if file.exists() else {}
    prompts = parse_prompts(config, file, is_normalised=is_normalised)
    document = prompts.find_document(PromptChoice())
    if document:
        raise ExportError(
            f"{file}: expected no prompt for documents, found {document!r}: a bundle of --base encodes"
            " documents without one. twinrank-export bundle takes such a folder"
        )
    return prompts
