"""A second model: the tiny bundle under another name, whose vectors bear another tag."""

import json
import shutil
from pathlib import Path

from reranker.bundle import Bundle
from reranker.manifest import FILE_NAME, digest
from tests.conftest import TINY_BUNDLE


def other_bundle(folder: Path, name: str = "tiny-2") -> Bundle:
    """Make it in a folder that is not there yet."""
    shutil.copytree(TINY_BUNDLE, folder)
    manifest = json.loads((folder / FILE_NAME).read_text())
    manifest |= {"name": name, "document_digest": manifest["document_digest"][::-1]}
    manifest["digest"] = digest(manifest)
    (folder / FILE_NAME).write_text(json.dumps(manifest))
    return Bundle.open(folder)
