"""Distillation: the student learns a teacher's scores (TwinBERT, arXiv 2002.06275, section 3.4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from model_export.data.collection import JudgedCollection
from model_export.data.quality import measure_ndcg
from model_export.model.twin import TwinBert
from model_export.model.vectors import encode_tokens
from model_export.train.config import DistilSection
from model_export.train.losses import OBJECTIVES, gold_cross_entropy
from model_export.train.negatives import Group
from reranker.arrays import Floats
from reranker.encoder import Ids


@dataclass(frozen=True)
class TokenisedTexts:
    """Tokens of every query and document, by id, and their vectors if a tower is frozen."""

    queries: Mapping[str, Ids]
    documents: Mapping[str, Ids]
    vectors: Mapping[str, Floats] | None
    query_vectors: Mapping[str, Floats] | None = None


class Distillation:
    """loss = (1 - gold_weight) * objective(student, teacher) + gold_weight * cross-entropy with the labels.

    `teacher` is (groups, documents of a group) float32 logits. The measure is the nDCG@10 of the crossing
    alone, over the development collection's hits.
    """

    measure_name = "nDCG@10"

    def __init__(
        self,
        twin: TwinBert,
        groups: Sequence[Group],
        teacher: Floats,
        texts: TokenisedTexts,
        dev: JudgedCollection,
        section: DistilSection,
    ) -> None:
        self.module = twin
        self.lengths: Sequence[int] = [len(texts.queries[group.query]) for group in groups]
        self._groups = groups
        self._teacher = torch.from_numpy(teacher)
        self._texts = texts
        self._dev = dev
        self._section = section
        self._objective = OBJECTIVES[section.objective]
        if texts.vectors is not None and twin.document is not twin.query:
            twin.document.requires_grad_(False)
        if texts.query_vectors is not None:
            twin.query.requires_grad_(False)

    def compute_loss(self, rows: Sequence[int]) -> torch.Tensor:
        """Return the loss over the groups of these numbers."""
        groups = [self._groups[i] for i in rows]
        queries = self._encode_query_batch([group.query for group in groups])
        documents = self._encode_document_batch(
            [each for group in groups for each in group.documents], queries
        )
        student = self.module.crossing(queries[:, None], documents.view(len(groups), -1, queries.shape[1]))
        teacher = self._teacher[list(rows)].to(student.device)
        loss = (1 - self._section.gold_weight) * self._objective(student, teacher, self._section.temperature)
        if self._section.gold_weight:
            labels = torch.tensor([group.labels for group in groups], device=student.device)
            loss = loss + self._section.gold_weight * gold_cross_entropy(student, labels)
        return loss

    def measure(self) -> float:
        """Return the nDCG@10 on the development collection."""
        return measure_ndcg(self._dev, self.score_hits(self._dev.hits))

    def score_hits(self, hits: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
        """Return the student's logit of every hit: query id -> document id -> logit."""
        queries = list(hits)
        documents = sorted({document for found in hits.values() for document in found})
        query_vectors = self.encode_queries(queries)
        vectors = dict(zip(documents, self.encode_documents(documents), strict=True))
        run: dict[str, dict[str, float]] = {}
        for query, vector in zip(queries, query_vectors, strict=True):
            found = list(hits[query])
            matrix: Floats = (
                np.stack([vectors[each] for each in found])
                if found
                else np.empty((0, len(vector)), np.float32)
            )
            run[query] = dict(zip(found, self._score_vectors(vector, matrix), strict=True))
        return run

    def encode_documents(self, documents: Sequence[str]) -> Floats:
        """Return the vectors of documents: (documents, dim)."""
        if self._texts.vectors is not None:
            return np.stack([self._texts.vectors[each] for each in documents])
        return encode_tokens(self.module.document, [self._texts.documents[each] for each in documents])

    def encode_queries(self, queries: Sequence[str]) -> Floats:
        """Return the vectors of queries: (queries, dim)."""
        if self._texts.query_vectors is not None:
            return np.stack([self._texts.query_vectors[each] for each in queries])
        return encode_tokens(self.module.query, [self._texts.queries[each] for each in queries])

    def _score_vectors(self, query: Floats, documents: Floats) -> list[float]:
        device = next(self.module.crossing.parameters()).device
        with torch.no_grad():
            logits = self.module.crossing(
                torch.from_numpy(query[None]).to(device), torch.from_numpy(documents).float().to(device)
            )
        found: list[float] = logits.cpu().tolist()
        return found

    def _encode_query_batch(self, queries: Sequence[str]) -> torch.Tensor:
        if self._texts.query_vectors is None:
            return self.module.query.encode([self._texts.queries[each] for each in queries])
        device = next(self.module.crossing.parameters()).device
        return torch.from_numpy(self.encode_queries(queries)).to(device)

    def _encode_document_batch(self, documents: Sequence[str], like: torch.Tensor) -> torch.Tensor:
        if self._texts.vectors is None:
            return self.module.document.encode([self._texts.documents[each] for each in documents])
        stacked = np.stack([self._texts.vectors[each] for each in documents])
        return torch.from_numpy(stacked).to(like.device, like.dtype)
