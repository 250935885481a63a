"""Whether an index's texts are in scripts that a model reads, judged by a sample of its documents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from indexer.document import text_of
from opensearch.client import OpenSearchClient, index_path
from opensearch.errors import RequestError
from opensearch.settings.table import RerankSettings
from reranker.languages import ReadableScripts

SAMPLE_SIZE = 100

SAMPLED_OF_SHARD = 10_000
"""The sample is drawn from this many documents of each shard: no large index is read whole."""

TIMEOUT = "5s"

WORTH_A_WARNING = 0.1
"""The share of texts in other scripts at which a warning is shown."""


@dataclass(frozen=True)
class LanguageSample:
    """How many texts were sampled, and how many are mostly in scripts that the model does not read.

    `num_unreadable` of them hold next to no letter that it reads.
    """

    num_texts: int
    num_foreign: int
    num_unreadable: int

    @property
    def is_unreadable(self) -> bool:
        """Whether most texts are unreadable."""
        return 2 * self.num_unreadable > self.num_texts

    @property
    def share_foreign(self) -> float:
        """The share of texts in other scripts, 0 to 1; 0 if there is no text."""
        return self.num_foreign / self.num_texts if self.num_texts else 0.0

    def warning(self, model: str, languages: Sequence[str]) -> str | None:
        """Return a warning of one sentence; None if there is no reason for one."""
        if self.share_foreign < WORTH_A_WARNING:
            return None
        which = "all searches" if self.is_unreadable else "searches in such scripts"
        return (
            f"{self.share_foreign:.0%} of {self.num_texts} sampled texts are in a script that {model} does"
            f" not read (languages: {', '.join(languages)}): {which} are passed through with"
            " reason=language. docs/reference/models.md says which languages a bundle reads"
        )


def find_language_warning(
    upstream: OpenSearchClient,
    index: str,
    settings: RerankSettings,
    model: str,
    scripts: ReadableScripts | None,
) -> str | None:
    """Sample an index, and return a warning if the model cannot read much of it.

    None if it can, if the model names no languages (`scripts`), if the settings allow any language, or if the
    index cannot be sampled: a warning is no reason to fail.
    """
    if scripts is None or settings.languages == "any":
        return None
    try:
        response = upstream.request(
            "POST", index_path(index, "_search"), build_sample_body(settings.source_fields)
        )
    except RequestError:
        return None
    return count_sample(response, settings.source_fields, scripts).warning(model, scripts.languages)


def build_sample_body(source_fields: Sequence[str], size: int = SAMPLE_SIZE) -> dict[str, Any]:
    """Return a search for the source fields of up to `size` random documents."""
    return {
        "size": size,
        "_source": list(source_fields),
        "query": {"function_score": {"query": {"match_all": {}}, "random_score": {}}},
        "terminate_after": SAMPLED_OF_SHARD,
        "timeout": TIMEOUT,
        "track_total_hits": False,
    }


def count_sample(
    response: Mapping[str, Any], source_fields: Sequence[str], scripts: ReadableScripts
) -> LanguageSample:
    """Count the texts in the response to a `build_sample_body`; documents without text do not count."""
    found = (text_of(hit.get("_source", {}), source_fields) for hit in response["hits"]["hits"])
    counts = [scripts.count(text) for text in found if text]
    return LanguageSample(
        len(counts),
        sum(each.are_mostly_foreign for each in counts),
        sum(each.are_unreadable for each in counts),
    )
