"""Settings as a mapping has them: read, and checked against each other."""

from dataclasses import dataclass
from typing import Any

import msgspec

from opensearch.rawjson.validation import InvalidError, build_error, validate
from opensearch.settings.experiment import ExperimentArm, ExperimentSettings, check_arms, check_experiment
from opensearch.settings.rules import check_rules
from opensearch.settings.signals import check_signals
from opensearch.settings.table import META_KEY, RerankSettings, SettingsError

MAX_EXACT_FIELDS = 8


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
