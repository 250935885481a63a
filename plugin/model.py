"""What of a bundle searches and writes need, loaded once a worker."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from plugin.admission import Admission
from plugin.query_vectors import QueryVectors
from plugin.write_vectors import WriteVectors
from reranker.bundle import Bundle
from reranker.crossing import Crossing
from reranker.encoder import DocumentEncoder


@dataclass(frozen=True)
class Model:
    """A bundle's encoders behind their caches, the crossing layer, and the tag of its vectors.

    `vectors_of` is the `model` of the indices that it serves.
    """

    name: str
    vectors_of: str
    digest: str
    model_tag: int
    crossing: Crossing
    fusion_weight: float
    query_vectors: QueryVectors
    dim: int
    neutral_crossing: float
    num_query_tokens: Callable[[str], int]
    load_document_encoder: Callable[[], DocumentEncoder]
    documents: WriteVectors
    admission: Admission = field(default_factory=Admission)

    @classmethod
    def load(cls, bundle: Bundle) -> "Model":
        """Load the query tower of a bundle, and encode once: the first search shall not pay for that.

        Raises:
            BundleError: a file cannot be used.
            EncodingError: the tower does not run here.
        """
        encode = bundle.query_encoder()
        encode("how to wait a bit")
        load_document_encoder = _once(lambda: bundle.document_encoder(threads=1))
        return cls(
            name=bundle.name,
            vectors_of=bundle.vectors_of,
            digest=bundle.manifest.digest,
            model_tag=bundle.model_tag,
            crossing=bundle.crossing(),
            fusion_weight=bundle.manifest.fusion.weight,
            query_vectors=QueryVectors(encode, dim=bundle.manifest.dim),
            dim=bundle.manifest.dim,
            neutral_crossing=bundle.manifest.neutral_crossing,
            num_query_tokens=encode.num_tokens,
            load_document_encoder=load_document_encoder,
            documents=WriteVectors(load_document_encoder, bundle.model_tag),
        )


def _once(load: Callable[[], DocumentEncoder]) -> Callable[[], DocumentEncoder]:
    """Return what loads the document tower when first asked, and then gives everybody that one."""
    lock, loaded = threading.Lock(), list[DocumentEncoder]()

    def encoder() -> DocumentEncoder:
        with lock:
            if not loaded:
                loaded.append(load())
            return loaded[0]

    return encoder
