"""A second model: a bundle under another name, whose vectors bear another tag, or the same one."""

import json
import shutil
from pathlib import Path
from typing import Any

from reranker.bundle import Bundle
from reranker.manifest import FILE_NAME, digest
from tests.support.paths import TINY_BUNDLE


def other_bundle(folder: Path, name: str = "tiny-2", **changes: Any) -> Bundle:  # noqa: ANN401
    """Make it in a folder that is not there yet; `changes` are to the manifest."""
    shutil.copytree(TINY_BUNDLE, folder)
    manifest = json.loads((folder / FILE_NAME).read_text())
    manifest |= {"name": name, "document_digest": manifest["document_digest"][::-1]}
    return _written(folder, manifest | changes)


def hasty_bundle(folder: Path, of: Path = TINY_BUNDLE, name: str = "fast") -> Bundle:
    """Make a bundle with the document tower of another one, whose query tower reads 8 tokens and no more."""
    shutil.copytree(of, folder)
    manifest = json.loads((folder / FILE_NAME).read_text())
    query = manifest["query"] | {"max_tokens": 8}
    return _written(folder, manifest | {"name": name, "query": query, "vectors_of": manifest["name"]})


def prefixed_bundle(folder: Path, of: Path = TINY_BUNDLE, name: str = "prefixed", **changes: Any) -> Bundle:  # noqa: ANN401
    """Make a bundle with the document tower of another one, whose query tower reads other words first.

    So its order of a window is another one. `changes` are to the manifest.
    """
    shutil.copytree(of, folder)
    manifest = json.loads((folder / FILE_NAME).read_text())
    query = manifest["query"] | {"prefix": "how much faster is it to wait for "}
    made = manifest | {"name": name, "query": query, "vectors_of": manifest["name"]}
    return _written(folder, made | changes)


def voting_bundle(folder: Path, feedback: float, smoothing: float = 0.0) -> Bundle:
    """Make the tiny bundle with a fusion of its own, in which the best and the nearest hits count."""
    shutil.copytree(TINY_BUNDLE, folder)
    manifest = json.loads((folder / FILE_NAME).read_text())
    fusion = manifest["fusion"] | {"feedback": feedback, "smoothing": smoothing}
    return _written(folder, manifest | {"name": "voting", "fusion": fusion, "vectors_of": manifest["name"]})


def _written(folder: Path, manifest: dict[str, Any]) -> Bundle:
    (folder / FILE_NAME).write_text(json.dumps(manifest | {"digest": digest(manifest)}))
    return Bundle.open(folder)
