"""What a model bundle brings for the settings that an index leaves unset."""

from opensearch.settings.layers import BundleDefaults
from reranker.bundle import Bundle
from reranker.manifest import FusionDefault
from reranker.threshold import is_calibrated


def read_defaults(bundle: Bundle) -> BundleDefaults:
    """Return what a bundle in a folder brings."""
    calibrated = is_calibrated(bundle.load_crossing())
    return build_defaults(bundle.name, bundle.vectors_of, bundle.manifest.fusion, is_calibrated=calibrated)


def build_defaults(
    name: str, vectors_of: str, fusion: FusionDefault, *, is_calibrated: bool = True
) -> BundleDefaults:
    """Return what a bundle brings; `vectors_of` is the `model` of the indices that it serves."""
    own = {"weight": fusion.weight, "feedback": fusion.feedback, "smoothing": fusion.smoothing}
    return BundleDefaults(name, vectors_of, own, is_calibrated)
