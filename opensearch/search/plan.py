"""The plan of a search that is reranked: its window, its fusion, and what is read of each hit."""

from dataclasses import dataclass

from opensearch.fields.ltr_log import LTR_LOG
from opensearch.rawjson.filter_path import FilterPath
from opensearch.search.request import SearchRequest
from opensearch.search.rules import NO_EFFECTS, RuleBoost, RuleEffects
from opensearch.settings.fusion import ResolvedFusion
from opensearch.settings.search_pipeline import Technique
from opensearch.settings.signals import DocValueField
from opensearch.settings.table import RerankSettings

MAX_DOCVALUE_FIELDS = 100
"""OpenSearch's `index.max_docvalue_fields_search`: the vector field must not be the one too many."""


@dataclass(frozen=True)
class ArmOrder:
    """How an arm of an experiment orders a window.

    `fusion` is None for OpenSearch's own order. `bundle` names the bundle that reranks, empty for the
    proxy's own.
    """

    name: str
    fusion: ResolvedFusion | None
    bundle: str = ""


@dataclass(frozen=True)
class Interleaving:
    """Two orders of one window that share a page.

    `experiment` and `unit` decide the coins. The first of the `arms` is the control.
    """

    experiment: str
    unit: str
    arms: tuple[ArmOrder, ArmOrder]


@dataclass(frozen=True)
class Plan:
    """How a search is reranked.

    `query_text` joins the texts of all clauses, `longest_text` is one of them. The page is hits `page_start`
    to `page_end` of the reordered window, `window_size` hits long. `request` is the client's search as
    OpenSearch will read it, without `ext.rerank`. `settings` are the index's with what the request changes,
    `fusion` is theirs with the bundle's values filled in. `keep_vector` says that the
    client asked for the vector field by name, `needs_docvalue` that what it asked for may not hold it.
    Vectors of the index's own (`settings.reads_existing`) are always kept.
    `explains` asks for an explanation in OpenSearch's form, `details` for one in Twinrank's. `filter_path` is
    set if the client filters the answer. `in_cluster` says that OpenSearch itself rescores: then the window
    is one of each shard, and the page is asked for as it is; `fallback` is why it does not in spite of the
    settings. `follows_page` says that an earlier page of the same search was reranked, so that this one has
    to be. `must_split` says that the client asks for values of the fields in `doc_values` itself, so that
    the window's own have to be asked for apart. `interleaving` is set if the page is made of two orders;
    `fusion` is then that of one of them. `shadow` are the orders that are only compared with the page.
    `bundle` names the bundle that reranks, empty for the proxy's own. `hybrid` says how the first stage's
    scores were normalised if the query is a hybrid one. `features` asks for what a combiner sees of each hit.
    """

    query_text: str
    longest_text: str
    request: SearchRequest
    settings: RerankSettings
    fusion: ResolvedFusion
    window_size: int
    page_start: int
    page_end: int
    keep_vector: bool
    needs_docvalue: bool
    explains: bool
    details: bool
    filter_path: FilterPath | None
    in_cluster: bool = False
    fallback: str | None = None
    follows_page: bool = False
    must_split: bool = False
    interleaving: Interleaving | None = None
    shadow: tuple[ArmOrder, ...] = ()
    bundle: str = ""
    hybrid: Technique | None = None
    features: bool = False
    rules: RuleEffects = NO_EFFECTS

    @property
    def bundles(self) -> tuple[str, ...]:
        """The bundles that encode the query before the page is ordered; empty is the proxy's own."""
        if self.interleaving is None:
            return (self.bundle,)
        reranked = (arm.bundle for arm in self.interleaving.arms if arm.fusion is not None)
        return tuple(dict.fromkeys(reranked))

    @property
    def reads_logged_features(self) -> bool:
        """Whether the features that the client has logged with each hit are read of the whole window."""
        reads = reads_logged_features(self.request, self.fusion, features=self.features)
        return reads and not self.in_cluster

    @property
    def doc_values(self) -> tuple[DocValueField, ...]:
        """The fields whose doc values are read of every hit, beside the vector."""
        return list_doc_values(self.settings, self.fusion, self.rules)

    @property
    def boosts(self) -> tuple[RuleBoost, ...]:
        """The boosts and buries of rules, as `list_boosts` finds them."""
        return list_boosts(self.fusion, self.rules)

    @property
    def added_doc_values(self) -> tuple[DocValueField, ...]:
        """Those that hits have although the client did not ask for them."""
        return () if self.in_cluster or self.must_split else self.doc_values

    @property
    def num_hits(self) -> int:
        """How many hits are asked of OpenSearch: the window, and what of the page lies beyond it.

        A result that is cut ends with the window.
        """
        return self.window_size if self.settings.cuts else max(self.window_size, self.page_end)


def reads_logged_features(request: SearchRequest, fusion: ResolvedFusion, *, features: bool) -> bool:
    """Return whether a search's features or combiner read what the client has logged with each hit."""
    return LTR_LOG in request.ext and (features or fusion.method == "combiner")


def list_doc_values(
    settings: RerankSettings, fusion: ResolvedFusion, rules: RuleEffects
) -> tuple[DocValueField, ...]:
    """Return the fields whose doc values are read, each once.

    `cluster` reads those of signals itself, and knows no others.
    """
    boosted = (DocValueField(each.field) for each in list_boosts(fusion, rules) if each.field is not None)
    exact = (DocValueField(name) for name in settings.keep_exact)
    return tuple(dict.fromkeys((*(signal.field for signal in fusion.signals), *exact, *boosted)))


def list_boosts(fusion: ResolvedFusion, rules: RuleEffects) -> tuple[RuleBoost, ...]:
    """Return the boosts and buries of rules; a fusion that is the crossing alone takes none, nor signals."""
    return () if fusion.method == "none" else rules.boosts
