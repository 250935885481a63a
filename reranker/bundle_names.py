"""The names of bundles: of those that come with Twinrank, of installed packages, and of folders.

A package names its bundles by entry points of the group `twinrank.bundles`. The value is a module, in whose
folder the bundle's folder is. Nothing of the package is imported.
"""

from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from reranker import manifest as manifests
from reranker.bundle import BUNDLES, split_version
from reranker.errors import BundleError
from reranker.manifest import FILE_NAME

GROUP = "twinrank.bundles"
"""The entry points of packages with bundles."""

APART = {"multilingual": "twinrank-multilingual", "multilingual-e5-small": "twinrank-multilingual"}
"""Names of bundles that are in a package of their own, and that package."""


def find_bundle(value: str | Path) -> Path:
    """Return a bundle's folder, with the version that `value` pins, as `Bundle.open` takes it.

    `value` is a folder or a name, and ends in `@VERSION` to pin a version. A name is that of a bundle that
    comes with Twinrank or is in an installed package, unless a folder here has the same name.

    Raises:
        BundleError: there is no such bundle, or it has another version.
    """
    folder, version = split_version(Path(value))
    shipped = BUNDLES / folder
    is_name = len(folder.parts) == 1 and not folder.exists()
    found = shipped if is_name and shipped.is_dir() else folder
    if is_name and not found.exists():
        found = _find_installed(folder.name) or folder
    if not (found / FILE_NAME).is_file():
        what = f"a folder without {FILE_NAME}" if found.is_dir() else "no such folder"
        raise BundleError(
            "expected a bundle's folder, or the name of one that comes with Twinrank"
            f" ({', '.join(list_shipped())}), found {what}: {value}{_describe_package(folder.name)}"
        )
    if version is None:
        return found
    if (other := manifests.read(found).version) != version:
        raise BundleError(
            f"expected version {version} of the bundle {folder.name}, found version {other}."
            f" Twinrank comes with {', '.join(list_shipped())}"
        )
    return found.with_name(f"{found.name}@{version}")


def list_shipped() -> list[str]:
    """Return the bundles that come with Twinrank, as `NAME@VERSION`, sorted."""
    folders = sorted(file.parent for file in BUNDLES.glob(f"*/{FILE_NAME}"))
    return [f"{folder.name}@{manifests.read(folder).version}" for folder in folders]


def _find_installed(name: str) -> Path | None:
    """Return the folder of a bundle in an installed package; None if no package has that name.

    Raises:
        BundleError: a package says that it has the bundle, and has none.
    """
    for point in metadata.entry_points(group=GROUP, name=name):
        spec = find_spec(point.module)
        places = (spec and spec.submodule_search_locations) or ()
        for manifest in (file for place in places for file in sorted(Path(place).glob(f"*/{FILE_NAME}"))):
            return manifest.parent
        package = point.dist.name if point.dist else point.module
        raise BundleError(
            f"expected the bundle {name} in the package {package}, found none. Install that package again"
        )
    return None


def _describe_package(name: str) -> str:
    """Say which package has the bundle `name`, if one is known to."""
    if name not in APART:
        return ""
    return f". This one is in a package of its own: install {APART[name]} (docs/how-to/languages.md)"
