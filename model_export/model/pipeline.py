"""Read the pipeline that sentence-transformers describes, and refuse what a bundle cannot do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_export.errors import ExportError
from model_export.model.json_files import read_json

MODULES_FILE, ROUTER_FILE = "modules.json", "router_config.json"
TRANSFORMER_FILE, PIPELINE_FILE = "sentence_bert_config.json", "config_sentence_transformers.json"
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
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
"""Names under which sentence-transformers looks for a document's prompt, in this order."""


@dataclass(frozen=True)
class Pipeline:
    """What the files say; `pooling` and `max_tokens` are None if no file gives them.

    `prompts` are all prompts that are not empty. `query_prompt` is the one for queries: "" if there is none,
    None if it is ambiguous.
    """

    pooling: str | None = None
    max_tokens: int | None = None
    lower_case: bool = False
    leaves_prompt_out: bool = False
    query_prompt: str | None = ""
    prompts: Mapping[str, str] = field(default_factory=dict)


def read_pipeline(folder: Path) -> Pipeline:
    """Read the files of `folder`, all of which may be missing.

    Raises:
        ExportError: a file is malformed, or asks for something that a bundle cannot do.
    """
    pooling_folder, normalized = _read_modules(folder)
    pooling, leaves_prompt_out = _read_pooling(folder / pooling_folder / "config.json")
    max_tokens, lower_case = _read_transformer(folder / TRANSFORMER_FILE)
    query_prompt, prompts = _read_prompts(folder / PIPELINE_FILE, normalized=normalized)
    return Pipeline(pooling, max_tokens, lower_case, leaves_prompt_out, query_prompt, prompts)


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
    if pipeline.query_prompt is None:
        agrees = query_prefix in pipeline.prompts.values()
    else:
        agrees = query_prefix == pipeline.query_prompt
    if not agrees and pipeline.prompts:
        raise ExportError(
            f"expected as query_prefix in base.json of {folder} the prompt for queries in {PIPELINE_FILE},"
            f" found {query_prefix!r} and the prompts {dict(pipeline.prompts)}"
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


def _read_prompts(file: Path, *, normalized: bool) -> tuple[str | None, dict[str, str]]:
    """Return the prompt for queries, None if it is ambiguous, and all prompts that are not empty."""
    config = read_json(file, dict[str, Any]) if file.exists() else {}
    similarity = config.get("similarity_fn_name") or "cosine"
    if similarity != "cosine" and not (normalized and similarity in ("dot", "euclidean")):
        raise ExportError(
            f"{file}: expected similarity_fn_name cosine, found {similarity!r}: a bundle compares the"
            " directions of vectors, not their lengths"
        )
    prompts = config.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise ExportError(f"{file}: expected prompts as names and texts, found {prompts!r}")
    usual = prompts.get(config.get("default_prompt_name"), "")
    document = next((prompts[name] for name in _DOCUMENT_PROMPTS if name in prompts), usual)
    if document:
        raise ExportError(
            f"{file}: expected no prompt for documents, found {document!r}: a bundle encodes documents"
            " without one"
        )
    given = {name: text for name, text in prompts.items() if text}
    return prompts.get("query", usual or ("" if not given else None)), given
