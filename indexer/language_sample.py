"""Whether an index's texts are in scripts and languages that a model reads, judged by a sample."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from indexer.document import text_of
from opensearch.client import OpenSearchClient, index_path
from opensearch.errors import RequestError
from opensearch.settings.table import MAJORITY, RerankSettings
from reranker.language_identifier import identify, strip_tag
from reranker.languages import COUNTED_CHARS, ReadableScripts

SAMPLE_SIZE = 100

IDENTIFIED_SIZE = 200
"""So many documents are sampled if their languages are identified."""

SAMPLED_OF_SHARD = 10_000
"""The sample is drawn from this many documents of each shard: no large index is read whole."""

TIMEOUT = "5s"

WORTH_A_WARNING = 0.1
"""The share of texts in other scripts, or other languages, at which a warning is shown."""

MIN_IDENTIFIED = 20
"""Of fewer texts than this no shares are known."""

WORTH_WRITING = 0.05
"""The least share of a language that is written to the settings."""

Identify = Callable[[str], str | None]


@dataclass(frozen=True)
class LanguageSample:
    """How many texts were sampled, and how many are mostly in scripts that the model does not read.

    `num_unreadable` of them hold next to no letter that it reads. `languages` counts the languages of those
    that were identified.
    """

    num_texts: int
    num_foreign: int
    num_unreadable: int
    languages: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_unreadable(self) -> bool:
        """Whether most texts are unreadable."""
        return 2 * self.num_unreadable > self.num_texts

    @property
    def share_foreign(self) -> float:
        """The share of texts in other scripts, 0 to 1; 0 if there is no text."""
        return self.num_foreign / self.num_texts if self.num_texts else 0.0

    @property
    def shares(self) -> dict[str, float]:
        """The languages of the texts by share, the most frequent first; without those of few texts.

        Empty if too few texts were identified.
        """
        total = sum(self.languages.values())
        if total < MIN_IDENTIFIED:
            return {}
        ranked = Counter(self.languages).most_common()
        return {name: round(count / total, 2) for name, count in ranked if count >= WORTH_WRITING * total}

    def find_settings(self, languages: Sequence[str]) -> dict[str, float] | None:
        """Return what is worth writing for a model of these languages: shares, None if it reads the texts."""
        known, shares = {strip_tag(tag) for tag in languages}, self.shares
        others = (share for name, share in shares.items() if name not in known)
        return shares if max(others, default=0.0) >= WORTH_A_WARNING else None

    def warning(self, model: str, languages: Sequence[str]) -> str | None:
        """Return a warning of one sentence; None if there is no reason for one."""
        known = ", ".join(languages)
        more = "docs/reference/models.md says which languages a bundle reads"
        if self.share_foreign >= WORTH_A_WARNING:
            which = "all searches" if self.is_unreadable else "searches in such scripts"
            return (
                f"{self.share_foreign:.0%} of {self.num_texts} sampled texts are in a script that {model}"
                f" does not read (languages: {known}): {which} are passed through with"
                f" reason=language. {more}"
            )
        found = self.find_settings(languages)
        if found is None:
            return None
        others = {name: share for name, share in found.items() if name not in map(strip_tag, languages)}
        is_mostly_other = max(others.values()) > MAJORITY
        which = "all searches" if is_mostly_other else "searches in them"
        return (
            f"sampled texts are in languages that {model} does not read (languages: {known}):"
            f" {', '.join(f'{name} {share:.0%}' for name, share in others.items())}. Here {which} are passed"
            f" through with reason=language, unless you set `languages: any`. {more}"
        )


def sample_languages(
    upstream: OpenSearchClient, index: str, settings: RerankSettings, scripts: ReadableScripts | None
) -> LanguageSample | None:
    """Sample an index, and identify the languages of its texts.

    None if the model names no languages (`scripts`), if the settings allow any language, or if the index
    cannot be sampled: a warning is no reason to fail.
    """
    if scripts is None or settings.languages == "any":
        return None
    body = build_sample_body(settings.source_fields, IDENTIFIED_SIZE)
    try:
        response = upstream.request("POST", index_path(index, "_search"), body)
    except RequestError:
        return None
    return count_sample(response, settings.source_fields, scripts, identify)


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
    response: Mapping[str, Any],
    source_fields: Sequence[str],
    scripts: ReadableScripts,
    identify: Identify = lambda text: None,
) -> LanguageSample:
    """Count the texts in the response to a `build_sample_body`; documents without text do not count."""
    found = [text_of(hit.get("_source", {}), source_fields) for hit in response["hits"]["hits"]]
    counts = [scripts.count(text) for text in found if text]
    languages = Counter(filter(None, (identify(text[:COUNTED_CHARS]) for text in found if text)))
    return LanguageSample(
        len(counts),
        sum(each.are_mostly_foreign for each in counts),
        sum(each.are_unreadable for each in counts),
        languages,
    )
