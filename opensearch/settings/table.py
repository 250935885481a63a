"""The settings of one index, as its mapping has them under `_meta.rerank`.

This is the one table: name, type, default, limits and description of every setting. Validation uses it.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from opensearch.rawjson.prepared import prepared
from opensearch.rawjson.validation import InvalidError, build_error, validate
from opensearch.settings.experiment import ExperimentArm, ExperimentSettings, check_arms, check_experiment
from opensearch.settings.fusion import FusionControls, FusionDefaults, ResolvedFusion
from opensearch.settings.group import SettingsGroup
from opensearch.settings.rules import RuleSettings, check_rules
from opensearch.settings.signals import SignalSettings, check_signals, resolve_signals

META_KEY = "rerank"
DEFAULT_FIELD = "rerank.vector"
MAX_EXACT_FIELDS = 8
MAJORITY = 0.5
"""The share of an index's texts, not included, from which on a language is its main one."""


class SettingsError(Exception):
    """`_meta.rerank` is not valid; says which key, what was expected and what was found."""


class FusionSettings(SettingsGroup, frozen=True):
    """How first-stage and crossing scores are combined."""

    method: Annotated[
        Literal["log_linear", "weighted", "rrf", "none", "combiner"],
        Meta(
            description="`log_linear`: first-stage score x exp(weight x crossing); `weighted`: both scaled to"
            " 0 to 1 over the window, weight being the crossing's share; `rrf`: the sum of 1 / (rank_constant"
            " + rank) in both orders; `none`: crossing alone; `combiner`: a learned function of each hit's"
            " [features](features.md)."
        ),
    ] = "log_linear"
    weight: Annotated[
        Annotated[float, Meta(ge=0, le=40)] | None,
        Meta(
            description="Weight of the crossing; unset: the bundle's own, or 0.9 for `weighted`, which takes"
            " 0 to 1. `rrf` and `none` have no weight."
        ),
    ] = None
    rank_constant: Annotated[
        int,
        Meta(ge=1, le=10_000, description="For `rrf`: a larger value makes the first ranks stand out less."),
    ] = 60
    feedback: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None,
        Meta(
            description="Weight of a hit's similarity to the three best hits of the first order, beside its"
            " crossing (pseudo-relevance feedback). 0: none; unset: the bundle's own with `log_linear`. Only"
            " in `sidecar`, and not with `none`."
        ),
    ] = None
    smoothing: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(
            description="Share of a hit's score that is the mean of the ten hits with the nearest vectors"
            " (score smoothing, the cluster hypothesis). 0: none; unset: the bundle's own with `log_linear`."
            " Only in `sidecar`, and not with `none`."
        ),
    ] = None
    signals: Annotated[
        tuple[SignalSettings, ...],
        Meta(
            description="Numeric or date fields whose values raise or lower hits, such as a popularity: see"
            " [signals](#signals). Not with `none`; a `combiner` sees them as features."
        ),
    ] = ()
    combiner: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)] | None,
        Meta(
            description="For the method `combiner`: the name of the file, without `.json`, that `twinrank"
            " serve --combiner-file` was given. A proxy without it leaves searches in OpenSearch's order."
        ),
    ] = None

    def change(self, controls: FusionControls) -> "FusionSettings":
        """Return the fusion with other values; the weight of another method does not apply."""
        given = {name: getattr(controls, name) for name in FusionControls.__struct_fields__}
        changed = {name: value for name, value in given.items() if value is not None}
        is_other_method = changed.get("method", self.method) != self.method
        kept = msgspec.structs.replace(self, method=FusionSettings().method, weight=None)
        return msgspec.structs.replace(kept if is_other_method else self, **changed)

    def resolve(self, defaults: FusionDefaults) -> ResolvedFusion:
        """Return the fusion with a bundle's values for what `log_linear` leaves open; `none` takes none."""
        own = defaults if self.method == "log_linear" else None
        weight, feedback, smoothing = self.weight, self.feedback, self.smoothing
        if weight is None and own is not None:
            weight = own.weight
        if feedback is None:
            feedback = 0.0 if own is None else own.feedback
        if smoothing is None:
            smoothing = 0.0 if own is None else own.smoothing
        signals = resolve_signals(self.signals)
        if self.method == "none":
            feedback, smoothing, signals = 0.0, 0.0, ()
        if self.method == "combiner":
            return ResolvedFusion(self.method, None, self.rank_constant, 0.0, 0.0, signals, self.combiner)
        return ResolvedFusion(self.method, weight, self.rank_constant, feedback, smoothing, signals)


class ChunkSettings(SettingsGroup, frozen=True):
    """How a document longer than the encoder's limit is cut."""

    max_tokens: Annotated[int, Meta(ge=16, le=512, description="Length of a chunk, in tokens.")] = 256
    overlap: Annotated[
        int, Meta(ge=0, le=128, description="How much a chunk repeats of the one before, in tokens.")
    ] = 32
    max_chunks: Annotated[
        int, Meta(ge=1, le=64, description="The most chunks of one document that are encoded.")
    ] = 4


class MigrationSettings(SettingsGroup, frozen=True):
    """A change of model in progress: the field besides the one that searches use. All unset: none."""

    model: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="Bundle whose vectors are built in a second field, or kept there for a rollback."),
    ] = None
    field: Annotated[Annotated[str, Meta(min_length=1)] | None, Meta(description="The second field.")] = None
    cut_over: Annotated[
        bool, Meta(description="Whether searches use the new model already; `model` is the earlier one then.")
    ] = False


@prepared
class RerankSettings(SettingsGroup, frozen=True):
    """Everything an admin can set for an index."""

    model: Annotated[str, Meta(min_length=1, description="Name of the bundle whose vectors the field holds.")]
    source_fields: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(min_length=1, description="Fields, as dotted paths, whose text is encoded, in this order."),
    ]
    enabled: Annotated[bool, Meta(description="Whether searches are reranked.")] = True
    field: Annotated[str, Meta(min_length=1, description="The field that holds the vector.")] = DEFAULT_FIELD
    vectors: Annotated[
        Literal["stored", "source", "doc_values"],
        Meta(
            description="What `field` is. `stored`: a `binary` field that Twinrank fills. `source`,"
            " `doc_values`: a `knn_vector` of the index's own, read from `_source` or, from OpenSearch 3.7"
            " on, from doc values; Twinrank never writes it."
        ),
    ] = "stored"
    window_size: Annotated[
        int, Meta(ge=1, le=10_000, description="How many first-stage hits are reranked.")
    ] = 100
    min_coverage: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Share of documents, 0 to 1, that must have a vector before searches are reranked.",
        ),
    ] = 0.0
    execution: Annotated[
        Literal["sidecar", "cluster"],
        Meta(
            description="Where hits are scored: in the proxy, or on the data nodes by `rescore`, with a"
            " window for each shard."
        ),
    ] = "sidecar"
    fusion: FusionSettings = FusionSettings()
    score: Annotated[
        Literal["first_stage", "fused", "probability"],
        Meta(
            description="What `_score` holds in `sidecar`: the first stage's values in the new order, the"
            " fused value, or the calibrated probability of relevance."
        ),
    ] = "first_stage"
    min_probability: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(
            description="Least calibrated probability of relevance of a hit in the window; unset: none. Hits"
            " without a usable vector are never below it. Only in `sidecar`."
        ),
    ] = None
    on_low_probability: Annotated[
        Literal["demote", "cut"],
        Meta(
            description="Hits below `min_probability`: `demote` puts them last in the window; `cut` ends the"
            " result with the other hits of the window."
        ),
    ] = "demote"
    diversity: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="How much hits that say the same are spread: the weight of novelty beside relevance"
            " (maximal marginal relevance, 1 - lambda). 0: not at all. Only in `sidecar`.",
        ),
    ] = 0.0
    keep_exact: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=500)], ...],
        Meta(
            description="Keyword or numeric fields, such as a part number: hits of the window with a value"
            " that is the query's text come first, in first-stage order. Only in `sidecar`."
        ),
    ] = ()
    rules: Annotated[
        tuple[RuleSettings, ...],
        Meta(
            description="What editors say about single queries: documents that are pinned, raised, lowered"
            " or hidden."
            " See [rules](#rules)."
        ),
    ] = ()
    rules_from: Annotated[
        Annotated[str, Meta(pattern=r"^[^/,*?\s]+/.+$", max_length=1000)] | None,
        Meta(
            description="`INDEX/ID` of a document with more rules, which come after these; unset: none. See"
            " [rules in a document](#rules-in-a-document)."
        ),
    ] = None
    pipelines_allowed: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(
            description="Search pipelines that do not change a window; searches with others pass through,"
            " unless they only combine the scores of hybrid queries."
        ),
    ] = ()
    chunk: ChunkSettings = ChunkSettings()
    deadline_ms: Annotated[
        int,
        Meta(
            ge=1,
            le=60_000,
            description="Longest wait for the query's vector once OpenSearch has answered, in milliseconds.",
        ),
    ] = 50
    on_failure: Annotated[
        Literal["first_stage", "error"],
        Meta(description="If reranking fails: return the first-stage page, or a 503."),
    ] = "first_stage"
    versioning: Annotated[
        Literal["internal", "external"],
        Meta(description="`external`: writers set their own version numbers, and repairs keep them."),
    ] = "internal"
    verify_at_search: Annotated[
        bool,
        Meta(
            description="Whether each search compares the vectors of its window with their texts, and ignores"
            " vectors of other texts."
        ),
    ] = False
    languages: Annotated[
        Literal["model", "any"],
        Meta(
            description="Which searches are reranked: those in a script that the model reads, or `any`. See"
            " models.md."
        ),
    ] = "model"
    index_languages: Annotated[
        dict[
            Annotated[str, Meta(pattern=r"^[a-z]{2,3}$")],
            Annotated[float, Meta(ge=0, le=1)],
        ]
        | None,
        Meta(
            description="Languages of the index's texts by share, as `enable` and `sync` find them in a"
            " sample; unset: those of the model alone. See models.md."
        ),
    ] = None
    migration: MigrationSettings = MigrationSettings()
    experiment: ExperimentSettings = ExperimentSettings()

    @property
    def main_language(self) -> str | None:
        """The language of most texts, None if no language has most of them or none is known."""
        found = self.index_languages or {}
        return next((name for name, share in found.items() if share > MAJORITY), None)

    def for_arm(self, arm: ExperimentArm) -> "RerankSettings":
        """Return the settings as an arm of an experiment has them."""
        return msgspec.structs.replace(self, fusion=self.fusion.change(arm.fusion))

    @property
    def cuts(self) -> bool:
        """Whether hits of a low probability are not shown at all."""
        return self.min_probability is not None and self.on_low_probability == "cut"

    @property
    def second(self) -> "RerankSettings | None":
        """The settings with the two fields and their models exchanged; None without a migration."""
        other = self.migration
        if other.model is None or other.field is None:
            return None
        first = MigrationSettings(self.model, self.field, other.cut_over)
        return msgspec.structs.replace(self, model=other.model, field=other.field, migration=first)

    @property
    def reads_existing(self) -> bool:
        """Whether the vectors are the index's own, which Twinrank reads and never writes."""
        return self.vectors != "stored"

    @property
    def managed_field(self) -> str | None:
        """The field that Twinrank maps and fills; None if the vectors are the index's own."""
        return None if self.reads_existing else self.field

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that Twinrank fills, the one that searches use first."""
        if self.reads_existing:
            return ()
        return (self.field,) if self.migration.field is None else (self.field, self.migration.field)

    def check_managed(self, index: str, instead: str) -> None:
        """Check that an index's vectors are Twinrank's to make.

        Args:
            index: the name of the index, for the message.
            instead: a sentence that says what to do.

        Raises:
            SettingsError: they are the index's own.
        """
        if self.reads_existing:
            raise SettingsError(
                f"{index}: expected vectors that Twinrank makes, found `vectors: {self.vectors}`: what writes"
                f" the index keeps {self.field} current. {instead}"
            )

    @property
    def models(self) -> dict[str, str]:
        """Every model whose vectors are held, with its field, the one that searches use first."""
        other = self.migration
        second = {} if other.model is None or other.field is None else {other.model: other.field}
        return {self.model: self.field} | second

    def for_model(self, name: str) -> "RerankSettings | None":
        """Return the settings with which a bundle of that name searches: its own field's, or None.

        The second field serves only after the cut-over: before it is not filled.
        """
        if self.model == name:
            return self
        second = self.second if self.migration.cut_over else None
        return second if second is not None and second.model == name else None


@dataclass(frozen=True)
class SettingsSource:
    """The origin of settings, for messages: its name, and how to correct it."""

    name: str
    remedy: str


IN_MAPPING = SettingsSource(f"_meta.{META_KEY}", "Correct it with PUT _mapping")


def parse_settings(rerank: Any, place: SettingsSource = IN_MAPPING) -> RerankSettings:  # noqa: ANN401  # any JSON value
    """Validate `_meta.rerank`, already decoded from JSON.

    Raises:
        SettingsError: unknown key, missing key, wrong type or a value outside its limits.
    """
    try:
        check_arms(rerank, place.name, place.remedy)
        settings = validate(rerank, RerankSettings, place.name, place.remedy)
        check_together(settings, place.name, place.remedy)
        check_rules(settings.rules, f"{place.name}.rules", place.remedy)
    except InvalidError as error:
        raise SettingsError(str(error)) from error
    return settings


def check_together(settings: RerankSettings, place: str, remedy: str) -> None:
    """Check what one setting demands of another.

    Raises:
        InvalidError: they do not go together.
    """
    weight = settings.fusion.weight
    if settings.fusion.method == "weighted" and weight is not None and weight > 1:
        expected = "a share of 0 to 1, since the method is `weighted`"
        raise build_error(f"{place}.fusion.weight", expected, str(weight), remedy)
    if settings.fusion.method == "combiner" and settings.fusion.combiner is None:
        expected = "the name of a combiner, since the method is `combiner`"
        raise build_error(f"{place}.fusion.combiner", expected, "none", remedy)
    for number, name in enumerate(settings.keep_exact):
        if number >= MAX_EXACT_FIELDS:
            expected = f"at most {MAX_EXACT_FIELDS} fields"
            raise build_error(f"{place}.keep_exact", expected, f"{len(settings.keep_exact)}", remedy)
        if "*" in name or "?" in name:
            raise build_error(f"{place}.keep_exact[{number}]", "the name of one field", repr(name), remedy)
    check_signals(settings.fusion.signals, f"{place}.fusion.signals", remedy)
    other = settings.migration
    if (other.model is None) != (other.field is None):
        raise build_error(f"{place}.migration", "both `model` and `field`, or neither", "one of them", remedy)
    if other.field == settings.field:
        raise build_error(f"{place}.migration.field", "another field than `field`", repr(other.field), remedy)
    if other.model == settings.model:
        raise build_error(f"{place}.migration.model", "another model than `model`", repr(other.model), remedy)
    if settings.reads_existing:
        _check_existing(settings, place, remedy)
    _check_experiment(settings, place, remedy)


def names_existing_vectors(rerank: Any) -> bool:  # noqa: ANN401  # any JSON value may be in a mapping
    """Whether settings, right or wrong, say that the vectors are the index's own."""
    return isinstance(rerank, dict) and rerank.get("vectors", "stored") != "stored"


def _check_existing(settings: RerankSettings, place: str, remedy: str) -> None:
    """Check what does not go together with vectors that carry no hash and are not Twinrank's to write."""
    if settings.verify_at_search:
        expected = f"false, since `vectors: {settings.vectors}` have no hash of their text"
        raise build_error(f"{place}.verify_at_search", expected, "true", remedy)
    if settings.migration.field is not None:
        expected = f"no migration, since `vectors: {settings.vectors}` are not made by Twinrank"
        raise build_error(f"{place}.migration", expected, repr(settings.migration.field), remedy)


def _check_experiment(settings: RerankSettings, place: str, remedy: str) -> None:
    experiment = settings.experiment
    if experiment == ExperimentSettings():
        return
    own = {
        "window_size": settings.window_size,
        "field": settings.field,
        "score": settings.score,
        "cuts": settings.cuts,
        "signals": settings.fusion.signals,
    }
    check_experiment(experiment, own, f"{place}.experiment", remedy)
    without = msgspec.structs.replace(settings, experiment=ExperimentSettings())
    for name, arm in experiment.named_arms.items():
        if isinstance(arm, ExperimentArm):
            check_together(without.for_arm(arm), f"{place}.experiment.arms.{name}", remedy)


def encode_settings(settings: RerankSettings) -> dict[str, Any]:
    """Return the JSON value for `_meta.rerank`: everything that is not at its default."""
    return _changed_values(settings)


def _changed_values(settings: msgspec.Struct) -> dict[str, Any]:
    """Compare by value: msgspec's `omit_defaults` compares by identity, so what was parsed stays."""
    changed = {}
    for field in msgspec.structs.fields(settings):
        value = getattr(settings, field.name)
        if value != field.default:
            changed[field.encode_name] = encode_value(value)
    return changed


def encode_value(value: Any) -> Any:  # noqa: ANN401  # a setting's value
    """Return the JSON value of one setting; sections and items of lists without what is at its default."""
    if isinstance(value, msgspec.Struct):
        return _changed_values(value)
    if isinstance(value, dict):
        return {name: encode_value(each) for name, each in value.items()}
    return [encode_value(each) for each in value] if isinstance(value, tuple) else value
