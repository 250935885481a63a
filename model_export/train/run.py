"""A training from its configuration to a folder that `export` takes."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from model_export.data.collection import JudgedCollection
from model_export.data.examples import Examples
from model_export.data.quality import ndcg
from model_export.data.sources import sources
from model_export.data.split import split_examples
from model_export.errors import TrainingError
from model_export.model.base import Base, load
from model_export.model.base_tokenizer import TOKENIZER_FILE
from model_export.model.tokens import QUERY_TOKENS, cut
from model_export.model.twin import TwinBert
from model_export.model.vectors import encoded, vectors
from model_export.train.align import Alignment, of_base, of_bundle
from model_export.train.config import Config, TeacherConfig, TeacherSection
from model_export.train.device import device_of
from model_export.train.distil import Distillation, TokenisedTexts
from model_export.train.finetune import FineTuning
from model_export.train.loop import TrainingState, fit
from model_export.train.model_folder import MODEL_FOLDER, placed, write_model
from model_export.train.negatives import Group, bm25_hits, groups, student_hits
from model_export.train.score_cache import cached_scores
from model_export.train.student import student
from model_export.train.teacher import BiEncoder, BundleEncoder, CrossEncoder, Ensemble, Teacher
from reranker.arrays import Floats
from reranker.bundle import Bundle
from reranker.manifest import FILE_NAME

DOCUMENT_TOKENS = 256
DEV_HITS = 30
"""Hits of a development query that are reranked to measure."""

Say = Callable[[str], None]


def train(config: Config, out: Path, say: Say) -> Path:
    """Train what the configuration says in the folder `out`, go on there if interrupted; return the model.

    Raises:
        TrainingError: data, configuration or checkpoint cannot be used, or the loss is not finite.
        ExportError: the base cannot be had.
    """
    learned, kept = split_examples(config.data, seed=config.run.seed)
    say(f"{len(learned.queries)} queries to learn from, {len(kept.queries)} for development")
    texts = [*learned.queries.values(), *learned.documents.values()]
    start = student(config.model, texts, seed=config.run.seed)
    out.mkdir(parents=True, exist_ok=True)
    (out / TOKENIZER_FILE).write_text(start.tokenizer)
    twin = TwinBert(start.query, start.document, start.crossing).train(mode=False)
    if config.distil.objective == "align":
        found = _align(config, twin, (learned, kept), out)
    else:
        found = _distil(config, twin, (learned, kept), out, say)
    first = found.history[0]["measure"]
    say(f"best at step {found.best_step}: {found.best:.4f} (before training {first:.4f})")
    return _written(config, twin, start, out)


def score(config: Config, out: Path, say: Say) -> float:
    """Score the development pairs with the teacher, and say how good it is; -> its nDCG@10."""
    _, kept = split_examples(config.data, seed=config.run.seed)
    dev = dev_collection(kept)
    teacher = teacher_of(config.teacher, out, config.run.device)
    pairs = [(query, hit) for query, hits in dev.hits.items() for hit in hits]
    scores = cached_scores(
        teacher, [(kept.queries[q], kept.documents[d]) for q, d in pairs], out / "scores.sqlite"
    )
    run: dict[str, dict[str, float]] = {query: {} for query in dev.hits}
    for (query, hit), value in zip(pairs, scores.tolist(), strict=True):
        run[query][hit] = value
    found = ndcg(dev, run)
    say(f"development nDCG@10: BM25 {ndcg(dev, dev.hits):.4f}, teacher {found:.4f}")
    return found


def train_teacher(config: TeacherConfig, out: Path, say: Say) -> Path:
    """Fine-tune a cross-encoder in the folder `out`, go on there if interrupted; return its folder."""
    learned, kept = split_examples(config.data, seed=config.run.seed)
    found = groups(learned, [(bm25_hits(learned), config.negatives)], seed=config.run.seed)
    dev = dev_collection(kept)
    whole = Examples({**learned.queries, **kept.queries}, learned.documents)
    task = FineTuning(load(config.base), found, whole, dev, max_tokens=config.max_tokens)
    say(f"{len(found)} groups to learn from; development nDCG@10: BM25 {ndcg(dev, dev.hits):.4f}")
    done = fit(task, config.run, out, identity=f"teacher {config.base} {task.identity}")
    say(f"best at step {done.best_step}: {done.best:.4f} (before training {done.history[0]['measure']:.4f})")
    return placed(out / MODEL_FOLDER, task.save)


def dev_collection(kept: Examples) -> JudgedCollection:
    """Return development queries with BM25's best hits as a collection.

    Raises:
        TrainingError: none of them has a relevant document.
    """
    qrels = {
        query: {document: max(1, round(3 * grade)) for document, grade in grades.items() if grade > 0}
        for query, grades in kept.gold.items()
    }
    if not any(qrels.values()):
        raise TrainingError("expected development queries with relevant documents, found one class only")
    hits = {query: dict(list(found.items())[:DEV_HITS]) for query, found in bm25_hits(kept).items()}
    return JudgedCollection("development", kept.documents, kept.queries, qrels, hits)


def teacher_of(section: TeacherSection, out: Path, device: str) -> Teacher:
    """Return the teacher that the configuration names.

    Raises:
        TrainingError: it names none.
    """
    teachers = [_encoder(each, section, out) for each in section.encoders]
    teachers += [
        CrossEncoder(Path(each), max_tokens=section.max_tokens, device=device)
        for each in section.cross_encoders
    ]
    if not teachers:
        raise TrainingError("expected a teacher (encoders or cross_encoders), found none")
    return teachers[0] if len(teachers) == 1 else Ensemble(teachers)


def _encoder(place: str, section: TeacherSection, out: Path) -> Teacher:
    if (Path(place) / FILE_NAME).exists():
        return BundleEncoder(Bundle.open(Path(place)))
    return BiEncoder(load(place), out / "tokenizers", max_tokens=section.max_tokens)


def _align(config: Config, twin: TwinBert, sides: tuple[Examples, Examples], out: Path) -> TrainingState:
    base, bundle = config.model.base, config.distil.bundle
    if base is None or config.model.shared:
        raise TrainingError("expected a base and shared = false to align a query tower, found others")
    if config.distil.frozen_embeddings:
        twin.query.bert.embeddings.requires_grad_(False)
    folder = Path(config.distil.targets) if config.distil.targets else out / "targets"
    prepared = []
    for side, what in zip(sides, ("targets", "development targets"), strict=True):
        texts = list(side.queries.values())
        ids = cut(
            twin.query, out / TOKENIZER_FILE, texts,
            prefix=config.model.query_prefix, max_tokens=QUERY_TOKENS,
        )  # fmt: skip
        if bundle is not None:
            targets = of_bundle(bundle, config.run, texts, folder, what=what)
        else:
            targets = of_base(base, config.run, ids, folder, what=what)
        prepared.append((ids, targets))
    task = Alignment(twin.query, *prepared[0], *prepared[1])
    return fit(task, config.run, out, identity=repr((config.model, config.data, bundle)))


def _distil(
    config: Config, twin: TwinBert, sides: tuple[Examples, Examples], out: Path, say: Say
) -> TrainingState:
    learned, kept = sides
    teacher = teacher_of(config.teacher, out, config.run.device)
    twin.to(device_of(config.run.device))
    texts = _tokenised(config, twin, sides, out)
    dev, from_bm25 = dev_collection(kept), bm25_hits(learned)
    found, negatives = TrainingState(), config.distil.negatives
    score(config, out, say)
    for number in range(config.distil.rounds):
        pools = [(from_bm25, negatives)]
        if config.distil.student_negatives:
            miner = Distillation(twin, [], np.empty((0, 0), np.float32), texts, dev, config.distil)
            own = min(config.distil.student_negatives, negatives)
            pools = [(_mined(miner, learned), own), (from_bm25, negatives - own)]
        made = groups(learned, pools, seed=config.run.seed + number)
        labels = _teacher_scores(teacher, learned, made, out)
        task = Distillation(twin, made, labels, texts, dev, config.distil)
        folder = out / f"round-{number + 1}"
        say(f"round {number + 1}: {len(made)} groups")
        done = fit(task, config.run, folder, identity=repr((config.model, config.data, config.distil)))
        found = done if number == 0 else _joined(found, done)
    return found


def _tokenised(config: Config, twin: TwinBert, sides: tuple[Examples, Examples], out: Path) -> TokenisedTexts:
    tokenizer, (learned, kept) = out / TOKENIZER_FILE, sides
    queries = learned.queries | kept.queries
    documents = learned.documents
    query_ids = cut(
        twin.query, tokenizer, list(queries.values()),
        prefix=config.model.query_prefix, max_tokens=QUERY_TOKENS,
    )  # fmt: skip
    document_ids = cut(
        twin.document, tokenizer, list(documents.values()), prefix="", max_tokens=DOCUMENT_TOKENS
    )
    frozen = None
    if config.distil.frozen_documents and not config.model.shared:
        encode = partial(encoded, twin.document)
        found = vectors(encode, document_ids, out / "documents", what="documents")
        frozen = dict(zip(documents, found, strict=True))
    frozen_queries = None
    if config.distil.frozen_queries:
        encode = partial(encoded, twin.query)
        found = vectors(encode, query_ids, out / "queries", what="queries")
        frozen_queries = dict(zip(queries, found, strict=True))
    return TokenisedTexts(
        dict(zip(queries, query_ids, strict=True)),
        dict(zip(documents, document_ids, strict=True)),
        frozen,
        frozen_queries,
    )


def _mined(miner: Distillation, learned: Examples) -> dict[str, dict[str, float]]:
    queries, documents = list(learned.queries), list(learned.documents)
    return student_hits(
        queries, miner.encoded_queries(queries), documents, miner.encoded_documents(documents)
    )


def _teacher_scores(teacher: Teacher, learned: Examples, made: list[Group], out: Path) -> Floats:
    pairs = [
        (learned.queries[group.query], learned.documents[each]) for group in made for each in group.documents
    ]
    return cached_scores(teacher, pairs, out / "scores.sqlite").reshape(len(made), -1)


def _joined(before: TrainingState, after: TrainingState) -> TrainingState:
    after.history = [*before.history[:1], *after.history]
    return after


def _written(config: Config, twin: TwinBert, start: Base, out: Path) -> Path:
    """Write the model folder whole, in the place of an earlier one."""
    about = replace(
        start,
        name=config.model.name,
        query_prefix=config.model.query_prefix,
        licence=config.model.licence,
        trained_on=sources(config.data),
    )
    return placed(out / MODEL_FOLDER, lambda folder: write_model(folder, twin, about))
