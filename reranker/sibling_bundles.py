"""Bundles that can take the place of another one, since they read the same stored vectors."""

from pathlib import Path

from reranker.bundle import BUNDLES, Bundle
from reranker.bundle_names import list_shipped
from reranker.errors import BundleError
from reranker.manifest import FILE_NAME


def open_sibling(own: Bundle, name: str) -> Bundle:
    """Open the bundle `NAME` or `NAME@VERSION` beside another one, or of those that come with Twinrank.

    A name is never a path, so that it can be taken from an index's settings.

    Raises:
        BundleError: there is no such bundle, it cannot be used, or it cannot take the other one's place.
    """
    if name in (own.name, own.label):
        return own
    bundle = Bundle.open(_find_folder(own, name))
    _check_alike(own, bundle)
    return bundle


def _find_folder(own: Bundle, name: str) -> Path:
    """Return the bundle's folder, with the version that is pinned."""
    plain, at, version = name.partition("@")
    parents = dict.fromkeys((own.path.absolute().parent, own.path.resolve().parent, BUNDLES))
    for parent in parents:
        if plain not in ("", ".", "..") and "/" not in name and (parent / plain / FILE_NAME).is_file():
            return parent / f"{plain}{at}{version}"
    raise BundleError(
        f"expected a bundle beside {own.name}, or one that comes with Twinrank ({', '.join(list_shipped())}),"
        f" found none of the name {name!r}"
    )


def _check_alike(own: Bundle, other: Bundle) -> None:
    if other.model_tag != own.model_tag or other.vectors_of != own.vectors_of:
        raise BundleError(
            f"expected a bundle with the document tower of {own.label} ({_describe_tower(own)}), found"
            f" {other.label} ({_describe_tower(other)}): it cannot read the same stored vectors"
        )
    if other.manifest.languages != own.manifest.languages:
        raise BundleError(
            f"expected a bundle for the languages of {own.label}, found {other.label} for others: the two"
            " would rerank different searches"
        )


def _describe_tower(bundle: Bundle) -> str:
    return f"vectors of {bundle.vectors_of}, tag {bundle.model_tag:08x}"
