"""The parts of a bundle that searches and writes need, loaded once a worker."""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

from opensearch.search.plan import Plan
from opensearch.settings.layers import BundleDefaults
from plugin.encoding.admission import Admission, Waits
from plugin.encoding.bundle_defaults import build_defaults
from plugin.encoding.document_encoder import BackgroundEncoder
from plugin.encoding.foreign_queries import ForeignQueries
from plugin.encoding.in_flight import InFlight
from plugin.encoding.on_demand_loader import OnDemandLoader
from plugin.encoding.pending_query import PendingQuery
from plugin.encoding.query_encoder import CachedQueryEncoder
from plugin.encoding.query_future import QueryFuture, raise_if_unavailable
from plugin.errors import RerankFailedError
from plugin.http.request_queue import request_queue
from reranker.bundle import Bundle
from reranker.combiner import Combiner
from reranker.crossing import Crossing
from reranker.encoder import DocumentEncoder
from reranker.errors import BundleError
from reranker.language_identifier import strip_tag
from reranker.languages import ReadableScripts
from reranker.manifest import FusionDefault
from reranker.sibling_bundles import open_sibling
from reranker.threshold import is_calibrated


@dataclass(frozen=True)
class Model:
    """A bundle's encoders behind their caches, the crossing layer, and the tag of its vectors.

    `vectors_of` is the `model` of the indices that it serves. `scripts` are those that the bundle reads, None
    if it names no languages; `max_query_chars` is how much of a query it reads. `origin` is the bundle.
    `combiners` may take the place of a fusion, by their names in the settings.
    """

    name: str
    version: str
    vectors_of: str
    digest: str
    model_tag: int
    crossing: Crossing
    fusion: FusionDefault
    query_vectors: CachedQueryEncoder
    dim: int
    neutral_crossing: float
    num_query_tokens: Callable[[str], int]
    load_document_encoder: Callable[[], DocumentEncoder]
    documents: BackgroundEncoder
    admission: Admission = field(default_factory=Admission)
    in_flight: InFlight = field(default_factory=InFlight)
    others: Mapping[str, BackgroundEncoder] = field(default_factory=dict)
    scripts: ReadableScripts | None = None
    max_query_chars: int = sys.maxsize
    foreign_queries: ForeignQueries = field(default_factory=ForeignQueries)
    origin: Bundle | None = None
    combiners: Mapping[str, Combiner] = field(default_factory=dict)
    _siblings: "OnDemandLoader[Model]" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Let admission see how long queries wait for the encoder."""
        self.query_vectors.on_start = self.admission.encoder.record_wait
        object.__setattr__(self, "_siblings", OnDemandLoader(self._load_sibling))

    @cached_property
    def bundle(self) -> str:
        """The bundle's name with its version: `NAME@VERSION`."""
        return f"{self.name}@{self.version}"

    @cached_property
    def writers(self) -> Mapping[str, BackgroundEncoder]:
        """What encodes documents, by the bundle's name: its own, and others during a change of model."""
        return {**self.others, self.vectors_of: self.documents}

    @cached_property
    def defaults(self) -> BundleDefaults:
        """What the bundle brings for settings that an index leaves unset."""
        return build_defaults(
            self.name, self.vectors_of, self.fusion, is_calibrated=is_calibrated(self.crossing)
        )

    @cached_property
    def tags(self) -> Mapping[str, int]:
        """The tags of these bundles' vectors, by name."""
        return {name: vectors.model_tag for name, vectors in self.writers.items()}

    def find_all(self, names: Sequence[str]) -> "tuple[Model, ...] | None":
        """Return the models of these bundles; None until all of them are loaded, which begins now."""
        found = [self if self._is_own(name) else self._siblings.find(name) for name in names]
        there = tuple(each for each in found if each is not None)
        return there if len(there) == len(found) else None

    def choose(self, name: str) -> "Model":
        """Return the model of a bundle; an empty name is this one.

        Raises:
            RerankFailedError: `model`, it is not loaded.
        """
        found = self.find_all([name] if name else [])
        if found is None:
            raise RerankFailedError("model", f"the bundle {name} is not loaded")
        return found[0] if found else self

    def submit_queries(self, plan: Plan) -> PendingQuery:
        """Start encoding a search's query for each bundle that it needs.

        Raises:
            RerankFailedError: as `submit_query`, or a bundle is not loaded.
        """
        futures: dict[str, QueryFuture | None] = {}
        try:
            for bundle in plan.bundles:
                futures[bundle] = self.choose(bundle).submit_query(plan)
        except RerankFailedError:
            PendingQuery(futures).leave()
            raise
        return PendingQuery(futures)

    def _is_own(self, name: str) -> bool:
        return name in (self.name, self.bundle)

    def _load_sibling(self, name: str) -> "Model":
        """Load another bundle over the same vectors, which shares this worker's queue.

        Raises:
            BundleError: it cannot be used, or has other vectors.
            EncodingError: its tower does not run here.
        """
        if self.origin is None:
            raise BundleError(f"expected a bundle to look beside for {name}, found none")
        admission = Admission()
        admission.service = self.admission.service
        admission.on_refused = lambda queue: self.admission.on_refused(queue)
        loaded = Model.load(open_sibling(self.origin, name))
        return replace(loaded, admission=admission, in_flight=self.in_flight)

    def submit_query(self, plan: Plan) -> QueryFuture:
        """Start encoding a search's query, if the search is reranked.

        Raises:
            RerankFailedError: this worker has too much to do, or the circuit is open.
        """
        if not self.admits(plan):
            raise RerankFailedError("overloaded", "too much waits in this worker")
        return raise_if_unavailable(self.query_vectors.submit(plan.query_text))

    def admits(self, *plans: Plan) -> bool:
        """Whether a search in flight is reranked; the items of an `_msearch` are one search.

        Without a plan: whether a first page is, as far as that does not depend on its plan.
        """
        waiting = request_queue.length
        is_known = all(self.query_vectors.knows(plan.query_text) for plan in plans)
        return self.admission.admits(
            Waits(
                num_others=max(0, self.in_flight.number - 1) + waiting,
                num_requests=waiting,
                num_queries=self.query_vectors.num_waiting,
                encoding_s=None if is_known else self.query_vectors.encoding_s,
                deadline_s=min((plan.settings.deadline_ms for plan in plans), default=0) / 1000,
                follows_page=bool(plans) and all(plan.follows_page for plan in plans),
            )
        )

    def reads(self, query_text: str) -> bool:
        """Whether what the bundle reads of a query has no letter in a script that it does not read."""
        return self.scripts is None or self.scripts.include(query_text[: self.max_query_chars])

    def reads_language(self, language: str) -> bool:
        """Whether a language (ISO 639) is one of the bundle's; a bundle that names none reads all."""
        return self.scripts is None or language in map(strip_tag, self.scripts.languages)

    def is_foreign(self, query_text: str) -> bool:
        """Whether a query in Latin script is in a language that the bundle does not read.

        While the tables are loaded, beside the searches, it is not.
        """
        if self.scripts is None:
            return False
        return self.foreign_queries.are_foreign(query_text[: self.max_query_chars], self.scripts.languages)

    def known_vector(self, key: tuple[str, int]) -> bytes | None:
        """Return the stored vector of a text that was encoded lately, by the bundle's name and its hash."""
        model, hashed = key
        return self.writers[model].known(hashed) if model in self.writers else None

    @classmethod
    def load(
        cls,
        bundle: Bundle,
        also: Sequence[Bundle] = (),
        combiners: Mapping[str, Combiner] = MappingProxyType({}),
    ) -> "Model":
        """Load the query tower of a bundle, and encode once, so that the first search does not pay for that.

        Of the bundles `also` only document towers serve, for writes during a change of model. `combiners` are
        by their names in the settings.

        Raises:
            BundleError: a file cannot be used.
            EncodingError: the tower does not run here.
        """
        encode = bundle.load_query_encoder()
        encode("how to wait a bit")
        load_document_encoder = _once(lambda: bundle.load_document_encoder(threads=1))
        return cls(
            name=bundle.name,
            version=bundle.manifest.version,
            vectors_of=bundle.vectors_of,
            digest=bundle.manifest.digest,
            model_tag=bundle.model_tag,
            crossing=bundle.load_crossing(),
            fusion=bundle.manifest.fusion,
            query_vectors=CachedQueryEncoder(encode, dim=bundle.manifest.dim),
            dim=bundle.manifest.dim,
            neutral_crossing=bundle.manifest.neutral_crossing,
            num_query_tokens=encode.num_tokens,
            load_document_encoder=load_document_encoder,
            documents=BackgroundEncoder(load_document_encoder, bundle.model_tag),
            others={each.vectors_of: _document_writer(each) for each in also},
            scripts=bundle.load_scripts(),
            max_query_chars=bundle.max_query_chars,
            origin=bundle,
            combiners=combiners,
        )


def _document_writer(bundle: Bundle) -> BackgroundEncoder:
    return BackgroundEncoder(lambda: bundle.load_document_encoder(threads=1), bundle.model_tag)


def _once(load: Callable[[], DocumentEncoder]) -> Callable[[], DocumentEncoder]:
    """Return what loads the document tower when first asked, and then gives everybody that one."""
    lock, loaded = threading.Lock(), list[DocumentEncoder]()

    def encoder() -> DocumentEncoder:
        with lock:
            if not loaded:
                loaded.append(load())
            return loaded[0]

    return encoder
