"""The settings of one index, as its mapping has them under `_meta.rerank`.

This is the one table: name, type, default, limits and description of every setting. Sections with values to
resolve or to check have their part of it in modules beside this one. Validation uses it.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from opensearch.rawjson.prepared import prepared
from opensearch.settings.experiment import ExperimentArm, ExperimentSettings
from opensearch.settings.fusion import FusionSettings
from opensearch.settings.group import SettingsGroup
from opensearch.settings.rules import RuleSettings

META_KEY = "rerank"
DEFAULT_FIELD = "rerank.vector"
MAJORITY = 0.5
"""The share of an index's texts, not included, from which on a language is its main one."""


class SettingsError(Exception):
    """`_meta.rerank` is not valid; says which key, what was expected and what was found."""


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
