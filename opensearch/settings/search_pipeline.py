"""Search pipelines that only combine the scores of a hybrid query's parts, recognised by their definitions.

Such a pipeline works on a window as well as on a page: it changes nothing but scores, and those of a hybrid
query alone. Its definition says what these scores are.
"""

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

import msgspec

Technique = Literal["min_max", "l2", "z_score", "rrf"]
"""How the scores of a hybrid query's parts become comparable, by OpenSearch's name."""

TECHNIQUES: tuple[Technique, ...] = ("min_max", "l2", "z_score", "rrf")

_NORMALIZATION, _RANKER = "normalization-processor", "score-ranker-processor"
_MEANS = ("arithmetic_mean", "geometric_mean", "harmonic_mean")
_PHASE_RESULTS = "phase_results_processors"
_SAYS_NOTHING = frozenset({"description", "version"})

_DEFINITIONS = msgspec.json.Decoder(dict[str, Any])


class SearchPipeline(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a pipeline does to a hybrid query.

    `technique` is None if it combines no scores, or in a way that is not known. `only_combines` says that it
    does nothing else, to any search.
    """

    technique: Technique | None = None
    only_combines: bool = False


def pipeline_target(name: str | None = None) -> str:
    """Return the raw target that returns the definition of one pipeline, or of all."""
    return "/_search/pipeline" if name is None else f"/_search/pipeline/{quote(name, safe='')}"


def read_pipelines(body: bytes) -> dict[str, SearchPipeline]:
    """Read the response to `pipeline_target`: name -> what the pipeline does.

    Raises:
        msgspec.DecodeError: it is no JSON object.
    """
    return {name: read_pipeline(definition) for name, definition in _DEFINITIONS.decode(body).items()}


def read_pipeline(definition: Any) -> SearchPipeline:  # noqa: ANN401  # any JSON value
    """Return what a pipeline does by its definition, which a search's body may hold too."""
    if not isinstance(definition, Mapping):
        return SearchPipeline()
    processors = definition.get(_PHASE_RESULTS)
    if not isinstance(processors, list) or len(processors) != 1:  # of several, the first decides: rare
        return SearchPipeline()
    technique = _read_technique(processors[0])
    others = [value for name, value in definition.items() if name not in {_PHASE_RESULTS, *_SAYS_NOTHING}]
    return SearchPipeline(technique, only_combines=technique is not None and not any(others))


def _read_technique(processor: Any) -> Technique | None:  # noqa: ANN401
    if not isinstance(processor, Mapping) or len(processor) != 1:
        return None
    ((kind, options),) = processor.items()
    if not isinstance(options, Mapping):
        return None
    combination = _read_name(options, "combination", "rrf" if kind == _RANKER else _MEANS[0])
    if kind == _RANKER:
        return "rrf" if combination == "rrf" else None
    if kind != _NORMALIZATION or combination not in _MEANS:
        return None
    name = _read_name(options, "normalization", "min_max")
    return next((each for each in TECHNIQUES if each == name and name != "rrf"), None)


def _read_name(options: Mapping[str, Any], section: str, default: str) -> Any:  # noqa: ANN401
    """Return the technique that a section of a processor names; OpenSearch has a default for each."""
    found = options.get(section)
    if found is None:
        return default
    return found.get("technique", default) if isinstance(found, Mapping) else None
