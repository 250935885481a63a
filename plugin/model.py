"""What of a bundle searches and writes need, loaded once a worker."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from plugin.document_vectors import DocumentVectors
from plugin.query_vectors import QueryVectors
from reranker.bundle import Bundle
from reranker.crossing import Crossing
from reranker.encoder import DocumentEncoder


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
    dim: int
    neutral_crossing: float
    num_query_tokens: Callable[[str], int]
    load_document_encoder: Callable[[], DocumentEncoder]

    @classmethod
    def load(cls, bundle: Bundle) -> "Model":
        """Load the query tower of a bundle, and encode once: the first search shall not pay for that.

        Raises:
            BundleError: a file cannot be used.
            EncodingError: the tower does not run here.
        """
        encode = bundle.query_encoder()
        encode("how to wait a bit")
        load_documents = cache(lambda: bundle.document_encoder(threads=1))  # one tower, whoever comes first
        return cls(
            name=bundle.name,
            digest=bundle.manifest.digest,
            model_tag=bundle.model_tag,
            crossing=bundle.crossing(),
            fusion_weight=bundle.manifest.fusion.weight,
            query_vectors=QueryVectors(encode),
            documents=DocumentVectors(load_documents, bundle.model_tag),
            dim=bundle.manifest.dim,
            neutral_crossing=bundle.manifest.neutral_crossing,
            num_query_tokens=encode.num_tokens,
            load_document_encoder=load_documents,
        )
