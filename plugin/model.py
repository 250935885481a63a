"""What of a bundle searches and writes need, loaded once a worker."""

from dataclasses import dataclass

from plugin.document_vectors import DocumentVectors
from plugin.query_vectors import QueryVectors
from reranker.bundle import Bundle
from reranker.crossing import Crossing


@dataclass(frozen=True)
class Model:
    """A bundle's encoders behind their caches, the crossing layer, and the tag of its vectors."""

    name: str
    digest: str
    model_tag: int
    crossing: Crossing
    fusion_weight: float
    query_vectors: QueryVectors
    documents: DocumentVectors

    @classmethod
    def load(cls, bundle: Bundle) -> "Model":
        """Load the query tower of a bundle, and encode once: the first search shall not pay for that.

        Raises:
            BundleError: a file cannot be used.
            EncodingError: the tower does not run here.
        """
        encode = bundle.query_encoder()
        encode("how to wait a bit")
        return cls(
            name=bundle.name,
            digest=bundle.manifest.digest,
            model_tag=bundle.model_tag,
            crossing=bundle.crossing(),
            fusion_weight=bundle.manifest.fusion.weight,
            query_vectors=QueryVectors(encode),
            documents=DocumentVectors(lambda: bundle.document_encoder(threads=1), bundle.model_tag),
        )
