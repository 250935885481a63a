"""What of a bundle a search needs, loaded once a worker."""

from dataclasses import dataclass

from plugin.query_vectors import QueryVectors
from reranker.bundle import Bundle
from reranker.crossing import Crossing


@dataclass(frozen=True)
class Model:
    """A bundle's query side: the encoder behind its cache, the crossing layer, and the tag of its vectors."""

    name: str
    digest: str
    model_tag: int
    crossing: Crossing
    fusion_weight: float
    query_vectors: QueryVectors

    @classmethod
    def load(cls, bundle: Bundle) -> "Model":
        """Load the query tower of a bundle.

        Raises:
            BundleError: a file cannot be used.
        """
        return cls(
            name=bundle.name,
            digest=bundle.manifest.digest,
            model_tag=bundle.model_tag,
            crossing=bundle.crossing(),
            fusion_weight=bundle.manifest.fusion.weight,
            query_vectors=QueryVectors(bundle.query_encoder()),
        )
