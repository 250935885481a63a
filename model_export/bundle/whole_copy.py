"""Copy a bundle with all its files: also those that it shares with other bundles."""

import shutil
from pathlib import Path

import msgspec

from model_export.bundle.manifest_file import write_values
from model_export.model.new_folder import make_folder
from reranker.bundle import Bundle
from reranker.manifest import FILE_NAME


def copy_bundle(bundle: Bundle, out: Path) -> Bundle:
    """Write a copy as the folder `out` that needs no other bundle; its digest is the same.

    Raises:
        ExportError: `out` exists or cannot be written.
    """
    with make_folder(out, "bundle") as folder:
        fill_folder(bundle, folder)
        Bundle.open(folder)
    return Bundle.open(out)


def fill_folder(bundle: Bundle, folder: Path) -> None:
    """Copy every file of a bundle into `folder`, and its manifest without shared files."""
    for name, file in bundle.files.items():
        shutil.copyfile(file, folder / name)
    values = msgspec.json.decode((bundle.path / FILE_NAME).read_bytes())
    values.pop("shared", None)
    write_values(folder, values)
