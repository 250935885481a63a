"""The folder of a trained model, which `export --base` reads: written completely or not at all."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from model_export.errors import TrainingError
from model_export.model.base import DESCRIPTION_FILE, Base, Description
from model_export.model.base_tokenizer import TOKENIZER_FILE
from model_export.model.twin import TwinBert

MODEL_FOLDER = "model"


def write_model(folder: Path, twin: TwinBert, about: Base) -> None:
    """Write a model and its description into an existing folder."""
    description = Description(
        name=about.name,
        query_prefix=about.query_prefix,
        origin=about.origin,
        licence=about.licence,
        trained_on=about.trained_on,
        projected_prefix=about.projected_prefix,
        max_tokens=about.max_tokens,
        languages=about.languages,
    )
    twin.save(folder)
    (folder / TOKENIZER_FILE).write_text(about.tokenizer)
    (folder / DESCRIPTION_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(description), indent=2))


def replace_folder(folder: Path, write: Callable[[Path], None]) -> Path:
    """Write a folder completely, replacing an earlier one, and return it.

    Raises:
        TrainingError: it cannot be written; no partial folder is left.
    """
    partial = folder.with_name(f".{folder.name}-partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        write(partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise TrainingError(f"expected to write the model {folder}, found: {error}") from error
    return folder
