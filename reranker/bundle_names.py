"""The names of bundles: those that come with Twinrank, and folders, each with a version if it is pinned."""

from pathlib import Path

from reranker import manifest as manifests
from reranker.bundle import BUNDLES, split_version
from reranker.errors import BundleError
from reranker.manifest import FILE_NAME


def find_bundle(value: str | Path) -> Path:
    """Return a bundle's folder, with the version that `value` pins, as `Bundle.open` takes it.

    `value` is a folder or a name, and ends in `@VERSION` to pin a version. A name is that of a bundle that
    comes with Twinrank, unless a folder here has the same name.

    Raises:
        BundleError: there is no such bundle, or it has another version.
    """
    folder, version = split_version(Path(value))
    shipped = BUNDLES / folder
    is_name = len(folder.parts) == 1 and not folder.exists()
    found = shipped if is_name and shipped.is_dir() else folder
    if not (found / FILE_NAME).is_file():
        what = f"a folder without {FILE_NAME}" if found.is_dir() else "no such folder"
        raise BundleError(
            "expected a bundle's folder, or the name of one that comes with Twinrank"
            f" ({', '.join(list_shipped())}), found {what}: {value}"
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
