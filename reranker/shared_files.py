"""Files that bundles share: a manifest names another bundle's file, and here its place is found."""

import os
from pathlib import Path

from reranker import manifest as manifests
from reranker.errors import EXPORT_AGAIN, BundleError
from reranker.manifest import Manifest

WHOLE_COPY = (
    "A bundle with all its files in its own folder needs no other: make one with twinrank-export copy"
)
"""What to do if the bundles of two versions of Twinrank do not fit together."""


def locate_files(folder: Path, manifest: Manifest, shipped: Path) -> dict[str, Path]:
    """Return the place of each file that the manifest names, by its name there.

    The bundle's own files are in `folder`. A shared file is in the folder of the bundle that `shared` names,
    beside `folder` or in `shipped`. That bundle may share it with a third one in turn.

    Raises:
        BundleError: a bundle or a shared file is missing, the file is a link that leads out of its folder, or
            the bundles name each other in a cycle.
    """
    return {
        name: _follow(folder, name, manifest, shipped) if name in manifest.shared else folder / name
        for name in manifest.checksums
    }


def _follow(folder: Path, name: str, manifest: Manifest, shipped: Path) -> Path:
    """Return the place of a shared file, from one bundle to the next until one holds it."""
    first = f"{folder}: {name}"
    passed = [f"{folder.name}/{name}"]
    while True:
        shared = manifest.shared[name]
        folder, name = _find_bundle(folder, shared.bundle, shipped, first), shared.file
        step = f"{shared.bundle}/{name}"
        if (folder / name).exists():
            return _check_inside(folder, folder / name, first)
        if step in passed:
            raise BundleError(
                f"{first}: expected a bundle that holds the file, found bundles that name each other:"
                f" {' -> '.join((*passed, step))}. {EXPORT_AGAIN}"
            )
        passed.append(step)
        manifest = manifests.read(folder)
        if name not in manifest.shared:
            raise BundleError(
                f"{first}: expected the file {name} of the bundle {shared.bundle}, found none in {folder}."
                f" Restore that bundle. {WHOLE_COPY}"
            )


def _find_bundle(folder: Path, name: str, shipped: Path, first: str) -> Path:
    """Return the folder of the bundle `name`: beside `folder`, beside what that links to, or in `shipped`."""
    parents = (Path(os.path.abspath(folder)).parent, folder.resolve().parent, shipped)  # noqa: PTH100
    places = dict.fromkeys(parent / name for parent in parents)
    for place in places:
        if (place / manifests.FILE_NAME).is_file():
            return place
    raise BundleError(
        f"{first}: expected the folder of the bundle {name}, which holds the file, found none of"
        f" {', '.join(map(str, places))}. Put that bundle beside this one. {WHOLE_COPY}"
    )


def _check_inside(folder: Path, file: Path, first: str) -> Path:
    """Return `file` if it is in `folder`, links resolved, or beside the real manifest of the bundle.

    Some installers make every file a link, so that the real files are together in another folder.
    """
    real = file.resolve()
    homes = (folder.resolve(), (folder / manifests.FILE_NAME).resolve().parent)
    if not any(real.is_relative_to(home) for home in homes):
        raise BundleError(
            f"{first}: expected a file in {folder}, found a link out of it, to {real}."
            " Put the file itself there"
        )
    return file
