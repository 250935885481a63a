"""How long vectors will take here, and what they will cost, from the encoding time of a few documents."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from indexer.enricher import Encode
from reranker.stored_vector import packed_size
from reranker.text import Chunking

BUDGET_S = 1.5
"""The measurement stops after this many seconds, and after one text at least."""

WRITE_S = 0.002
"""Reading and writing a document takes about this long in addition, measured on two cores."""

INDEX_SHARE = 1 + 4 / 3
"""What a vector takes in an index, in its own bytes: doc values, and base64 in `_source`."""

LENGTHS = (200, 1_000, 4_000)
"""Texts are told apart by these lengths, in characters."""

_MINUTE_S, _HOUR_S = 60, 3600
_GB = 1e9
_RESAMPLES = 2_000


@dataclass(frozen=True)
class MeasuredText:
    """One text of a sample: its length in characters, the processor time that it took, its vector's bytes."""

    characters: int
    seconds: float
    vector_bytes: int


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> "Interval":
        """Return the estimate of a multiple."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)

    def as_json(self) -> dict[str, float]:
        """Return the machine-readable form, with four significant digits."""
        parts = {"value": self.value, "low": self.low, "high": self.high}
        return {name: float(f"{part:.4g}") for name, part in parts.items()}


@dataclass(frozen=True)
class CostEstimate:
    """What it takes to encode `documents` documents like those of the sample, on `cores` cores like this one.

    The work is processor time, so it does not depend on what else runs here. It includes WRITE_S a document.
    """

    documents: int
    sample: Sequence[MeasuredText]
    cores: int
    price_per_core_hour: float | None = None

    @property
    def document_s(self) -> Interval:
        """The processor time of one document, seconds."""
        return bootstrap_mean([one.seconds for one in self.sample])

    @property
    def core_hours(self) -> Interval:
        """The processor time of all documents, in hours of one core."""
        per_document = self.document_s
        whole = Interval(
            per_document.value + WRITE_S, per_document.low + WRITE_S, per_document.high + WRITE_S
        )
        return whole.times(self.documents / _HOUR_S)

    @property
    def hours(self) -> Interval:
        """How long it takes on these cores, if they do nothing else and a slice runs on each."""
        return self.core_hours.times(1 / self.cores)

    @property
    def vector_gb(self) -> Interval:
        """The size of the vectors alone, 1e9 bytes."""
        sizes = bootstrap_mean([float(one.vector_bytes) for one in self.sample])
        return sizes.times(self.documents / _GB)

    @property
    def dollars(self) -> Interval | None:
        """The price of the processor time; None without a price."""
        price = self.price_per_core_hour
        return None if price is None else self.core_hours.times(price)

    def by_length(self) -> list[tuple[str, int, float]]:
        """Return for each range of lengths that occurs: its name, its texts, and their mean seconds."""
        found = []
        for low, high in zip((0, *LENGTHS), (*LENGTHS, None), strict=True):
            times = [
                one.seconds
                for one in self.sample
                if low <= one.characters and (high is None or one.characters < high)
            ]
            if times:
                name = f"{low:,} or more" if high is None else f"{low:,} to {high - 1:,}"
                found.append((f"{name} characters", len(times), sum(times) / len(times)))
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        return {
            "documents": self.documents,
            "sampled": len(self.sample),
            "ms_per_document": self.document_s.times(1000).as_json(),
            "core_hours": self.core_hours.as_json(),
            "cores": self.cores,
            "hours": self.hours.as_json(),
            "vector_gb": self.vector_gb.as_json(),
            "index_gb": self.vector_gb.times(INDEX_SHARE).as_json(),
            "dollars": None if self.dollars is None else self.dollars.as_json(),
            "by_length": [
                {
                    "characters": name.removesuffix(" characters"),
                    "sampled": number,
                    "ms": round(seconds * 1000, 3),
                }
                for name, number, seconds in self.by_length()
            ],
        }


def bootstrap_mean(values: Sequence[float]) -> Interval:
    """Return the mean with its 95 % percentile bootstrap interval (2,000 resamples, always the same ones).

    `values` must not be empty.
    """
    array = np.asarray(values, np.float64)
    drawn = np.random.default_rng(0).integers(0, len(array), (_RESAMPLES, len(array)))
    low, high = np.quantile(array[drawn].mean(axis=1), (0.025, 0.975))
    return Interval(float(array.mean()), float(low), float(high))


def measure_texts(
    texts: Sequence[str],
    encode: Encode,
    chunking: Chunking,
    budget_s: float,
    clock: Callable[[], float] = time.process_time,
    measured: Callable[[int], None] = lambda number: None,
) -> list[MeasuredText]:
    """Encode texts one by one, as long as `budget_s` lasts and one at least; the first is encoded twice.

    Its first time is not counted, since the encoder allocates its memory then. An empty text, which gets no
    vector, takes no time. `clock` returns processor time in seconds; `measured` is called with the number of
    texts so far.
    """
    for text in texts[:1]:
        encode([text], chunking)
    begin, found = clock(), list[MeasuredText]()
    for text in texts:
        started = clock()
        if found and started - begin > budget_s:
            break
        if not text:
            found.append(MeasuredText(0, 0.0, 0))
        else:
            [vectors] = encode([text], chunking)
            num_chunks, dim = vectors.shape
            found.append(MeasuredText(len(text), clock() - started, packed_size(dim, num_chunks)))
        measured(len(found))
    return found


def estimate_s(
    texts: Sequence[str],
    num_documents: int,
    encode: Encode,
    chunking: Chunking,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Estimate how many seconds it takes to give `num_documents` documents a vector.

    `texts` are those of a few of them, empty if a document has none; each is encoded once, as long as
    BUDGET_S lasts.
    """
    begin, num_encoded = clock(), 0
    for text in texts:
        if num_encoded and clock() - begin > BUDGET_S:
            break
        num_encoded += 1
        if text:
            encode([text], chunking)
    mean_s = (clock() - begin) / max(1, num_encoded)
    return num_documents * (mean_s + WRITE_S)


def in_words(seconds: float) -> str:
    """Return a duration as people say it: `less than 1 min`, `about 5 min`, `about 3 h`, `about 4 days`."""
    if seconds < _MINUTE_S:
        return "less than 1 min"
    if seconds < 2 * _HOUR_S:
        return f"about {seconds / _MINUTE_S:.0f} min"
    if seconds < 48 * _HOUR_S:
        return f"about {seconds / _HOUR_S:.0f} h"
    return f"about {seconds / (24 * _HOUR_S):.0f} days"
