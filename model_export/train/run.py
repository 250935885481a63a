"""Run a training, from its configuration to a folder that `export` reads."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from model_export.data.collection import JudgedCollection
from model_export.data.examples import Examples
from model_export.data.quality import measure_ndcg
from model_export.data.sources import describe_sources
from model_export.data.split import split_clean, split_examples
from model_export.errors import TrainingError
from model_export.model.base import Base, load_base
from model_export.model.base_tokenizer import TOKENIZER_FILE
from model_export.model.tokens import QUERY_TOKENS, tokenise
from model_export.model.twin import TwinBert
from model_export.model.vectors import encode_once, encode_tokens
from model_export.train.align import Alignment, encode_with_base, encode_with_bundle
from model_export.train.config import Config, TeacherConfig, TeacherSection
from model_export.train.cross_encoder import open_cross_encoder
from model_export.train.crossing_distil import CrossingDistillation
from model_export.train.device import choose_device
from model_export.train.distil import Distillation, TokenisedTexts
from model_export.train.finetune import FineTuning
from model_export.train.labelled import LabelledExamples, read_labelled
from model_export.train.lessons import make_lessons
from model_export.train.loop import Task, TrainingState, fit
from model_export.train.model_folder import MODEL_FOLDER, replace_folder, write_model
from model_export.train.negatives import Group, find_bm25_hits, find_student_hits, make_groups
from model_export.train.query_distil import QueryDistillation
from model_export.train.score_cache import score_once
from model_export.train.student import make_student
from model_export.train.teacher import BiEncoder, BundleEncoder, Ensemble, Teacher
from reranker.arrays import Floats
from reranker.bundle import Bundle
from reranker.manifest import FILE_NAME

DOCUMENT_TOKENS = 256
DEV_HITS = 30
"""How many hits of a development query are reranked for the measure."""

Say = Callable[[str], None]


def train(config: Config, out: Path, say: Say) -> Path:
    """Train as configured in the folder `out`, or go on after an interruption; return the model's folder.

    Raises:
        TrainingError: data, configuration or checkpoint cannot be used, or the loss is not finite.
        ExportError: the base cannot be loaded.
    """
    labelled = _load_labelled(config, out, say)
    if labelled is not None and config.distil.stored_vectors is not None:
        return _train_over_stored(config, labelled, out, say)
    if labelled is None:
        learned, kept = split_examples(config.data, seed=config.run.seed)
    else:
        learned, kept = split_clean(labelled.examples, config.data, seed=config.run.seed)
    say(f"{len(learned.queries)} queries to learn from, {len(kept.queries)} for development")
    texts = [*learned.queries.values(), *learned.documents.values()]
    start = make_student(config.model, texts, seed=config.run.seed)
    out.mkdir(parents=True, exist_ok=True)
    (out / TOKENIZER_FILE).write_text(start.tokenizer)
    twin = TwinBert(start.query, start.document, start.crossing).train(mode=False)
    if config.distil.objective == "align":
        found = _align(config, twin, (learned, kept), out)
    elif labelled is not None:
        found = _learn_labels(config, twin, (learned, kept), labelled, out)
    else:
        found = _distil(config, twin, (learned, kept), out, say)
    _say_best(found, say)
    return _write_model(config, twin, start, out)


def _train_over_stored(config: Config, labelled: LabelledExamples, out: Path, say: Say) -> Path:
    """Train a query tower or a crossing alone, over the vectors that the bundle of the recipe gives."""
    start = make_student(config.model, (), seed=config.run.seed)
    out.mkdir(parents=True, exist_ok=True)
    (out / TOKENIZER_FILE).write_text(start.tokenizer)
    twin = TwinBert(start.query, start.document, start.crossing).train(mode=False)
    if config.distil.frozen_embeddings:
        twin.query.bert.embeddings.requires_grad_(False)
    book = make_lessons(config, labelled, twin.query, out, say)
    if config.distil.frozen_queries:
        task: Task = CrossingDistillation(twin.crossing, book, config.distil)
    else:
        task = QueryDistillation(twin.query, book, twin.crossing, config.distil)
    identity = repr((config.model, config.data, config.distil, book.identity))
    _say_best(fit(task, config.run, out, identity=identity), say)
    return _write_model(config, twin, start, out)


def _say_best(found: TrainingState, say: Say) -> None:
    first = found.history[0]["measure"]
    say(f"best at step {found.best_step}: {found.best:.4f} (before training {first:.4f})")


def score_teacher(config: Config, out: Path, say: Say) -> float:
    """Score the development pairs with the teacher, and report and return its nDCG@10."""
    _, kept = split_examples(config.data, seed=config.run.seed)
    dev = make_dev_collection(kept)
    teacher = load_teacher(config.teacher, out, config.run.device, threads=config.run.threads)
    pairs = [(query, hit) for query, hits in dev.hits.items() for hit in hits]
    scores = score_once(
        teacher, [(kept.queries[q], kept.documents[d]) for q, d in pairs], out / "scores.sqlite"
    )
    run: dict[str, dict[str, float]] = {query: {} for query in dev.hits}
    for (query, hit), value in zip(pairs, scores.tolist(), strict=True):
        run[query][hit] = value
    found = measure_ndcg(dev, run)
    say(f"development nDCG@10: BM25 {measure_ndcg(dev, dev.hits):.4f}, teacher {found:.4f}")
    return found


def train_teacher(config: TeacherConfig, out: Path, say: Say) -> Path:
    """Fine-tune a cross-encoder in the folder `out`, or go on after an interruption; return its folder."""
    learned, kept = split_examples(config.data, seed=config.run.seed)
    found = make_groups(learned, [(find_bm25_hits(learned), config.negatives)], seed=config.run.seed)
    dev = make_dev_collection(kept)
    whole = Examples({**learned.queries, **kept.queries}, learned.documents)
    task = FineTuning(load_base(config.base), found, whole, dev, max_tokens=config.max_tokens)
    say(f"{len(found)} groups to learn from; development nDCG@10: BM25 {measure_ndcg(dev, dev.hits):.4f}")
    done = fit(task, config.run, out, identity=f"teacher {config.base} {task.identity}")
    say(f"best at step {done.best_step}: {done.best:.4f} (before training {done.history[0]['measure']:.4f})")
    return replace_folder(out / MODEL_FOLDER, task.save)


def make_dev_collection(kept: Examples) -> JudgedCollection:
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
    hits = {query: dict(list(found.items())[:DEV_HITS]) for query, found in find_bm25_hits(kept).items()}
    return JudgedCollection("development", kept.documents, kept.queries, qrels, hits)


def load_teacher(section: TeacherSection, out: Path, device: str, *, threads: int = 1) -> Teacher:
    """Return the teacher that the configuration names.

    Raises:
        TrainingError: it names none.
    """
    teachers = [_load_encoder(each, section, out) for each in section.encoders]
    teachers += [
        open_cross_encoder(
            Path(each), max_tokens=section.max_tokens, device=device, threads=threads, int8=section.int8
        )
        for each in section.cross_encoders
    ]
    if not teachers:
        raise TrainingError("expected a teacher (encoders or cross_encoders), found none")
    return teachers[0] if len(teachers) == 1 else Ensemble(teachers)


def _load_encoder(place: str, section: TeacherSection, out: Path) -> Teacher:
    if (Path(place) / FILE_NAME).exists():
        return BundleEncoder(Bundle.open(Path(place)))
    return BiEncoder(load_base(place), out / "tokenizers", max_tokens=section.max_tokens)


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
        ids = tokenise(
            twin.query,
            out / TOKENIZER_FILE,
            texts,
            prefix=config.model.query_prefix,
            max_tokens=QUERY_TOKENS,
        )
        if bundle is not None:
            targets = encode_with_bundle(bundle, config.run, texts, folder, what=what)
        else:
            targets = encode_with_base(base, config.run, ids, folder, what=what)
        prepared.append((ids, targets))
    task = Alignment(twin.query, *prepared[0], *prepared[1])
    return fit(task, config.run, out, identity=repr((config.model, config.data, bundle)))


def _distil(
    config: Config, twin: TwinBert, sides: tuple[Examples, Examples], out: Path, say: Say
) -> TrainingState:
    learned, kept = sides
    teacher = load_teacher(config.teacher, out, config.run.device, threads=config.run.threads)
    twin.to(choose_device(config.run.device))
    texts = _tokenise_sides(config, twin, sides, out)
    dev, from_bm25 = make_dev_collection(kept), find_bm25_hits(learned)
    found, negatives = TrainingState(), config.distil.negatives
    score_teacher(config, out, say)
    for number in range(config.distil.rounds):
        pools = [(from_bm25, negatives)]
        if config.distil.student_negatives:
            miner = Distillation(twin, [], np.empty((0, 0), np.float32), texts, dev, config.distil)
            own = min(config.distil.student_negatives, negatives)
            pools = [(_mine_negatives(miner, learned), own), (from_bm25, negatives - own)]
        made = make_groups(learned, pools, seed=config.run.seed + number)
        labels = _score_groups(teacher, learned, made, out)
        task = Distillation(twin, made, labels, texts, dev, config.distil)
        folder = out / f"round-{number + 1}"
        say(f"round {number + 1}: {len(made)} groups")
        done = fit(task, config.run, folder, identity=repr((config.model, config.data, config.distil)))
        found = done if number == 0 else _join_rounds(found, done)
    return found


def _load_labelled(config: Config, out: Path, say: Say) -> LabelledExamples | None:
    section = config.teacher
    if section.labels is None or section.recipe is None:
        return None
    named = section.encoders or section.cross_encoders
    teacher = load_teacher(section, out, config.run.device).digest if named else None
    return read_labelled(Path(section.labels), Path(section.recipe), teacher=teacher, say=say)


def _learn_labels(
    config: Config,
    twin: TwinBert,
    sides: tuple[Examples, Examples],
    labelled: LabelledExamples,
    out: Path,
) -> TrainingState:
    learned, kept = sides
    twin.to(choose_device(config.run.device))
    texts = _tokenise_sides(config, twin, sides, out)
    groups, scores = labelled.select(learned)
    task = Distillation(twin, groups, scores, texts, make_dev_collection(kept), config.distil)
    identity = repr((config.model, config.data, config.distil, labelled.identity))
    return fit(task, config.run, out / "round-1", identity=identity)


def _tokenise_sides(
    config: Config, twin: TwinBert, sides: tuple[Examples, Examples], out: Path
) -> TokenisedTexts:
    tokenizer, (learned, kept) = out / TOKENIZER_FILE, sides
    queries = learned.queries | kept.queries
    documents = learned.documents
    query_ids = tokenise(
        twin.query,
        tokenizer,
        list(queries.values()),
        prefix=config.model.query_prefix,
        max_tokens=QUERY_TOKENS,
    )
    document_ids = tokenise(
        twin.document, tokenizer, list(documents.values()), prefix="", max_tokens=DOCUMENT_TOKENS
    )
    frozen = None
    if config.distil.frozen_documents and not config.model.shared:
        encode = partial(encode_tokens, twin.document)
        found = encode_once(encode, document_ids, out / "documents", what="documents")
        frozen = dict(zip(documents, found, strict=True))
    frozen_queries = None
    if config.distil.frozen_queries:
        encode = partial(encode_tokens, twin.query)
        found = encode_once(encode, query_ids, out / "queries", what="queries")
        frozen_queries = dict(zip(queries, found, strict=True))
    return TokenisedTexts(
        dict(zip(queries, query_ids, strict=True)),
        dict(zip(documents, document_ids, strict=True)),
        frozen,
        frozen_queries,
    )


def _mine_negatives(miner: Distillation, learned: Examples) -> dict[str, dict[str, float]]:
    queries, documents = list(learned.queries), list(learned.documents)
    return find_student_hits(
        queries, miner.encode_queries(queries), documents, miner.encode_documents(documents)
    )


def _score_groups(teacher: Teacher, learned: Examples, made: list[Group], out: Path) -> Floats:
    pairs = [
        (learned.queries[group.query], learned.documents[each]) for group in made for each in group.documents
    ]
    return score_once(teacher, pairs, out / "scores.sqlite").reshape(len(made), -1)


def _join_rounds(before: TrainingState, after: TrainingState) -> TrainingState:
    after.history = [*before.history[:1], *after.history]
    return after


def _write_model(config: Config, twin: TwinBert, start: Base, out: Path) -> Path:
    """Write the model folder completely, replacing an earlier one."""
    about = replace(
        start,
        name=config.model.name,
        query_prefix=config.model.query_prefix,
        licence=config.model.licence,
        trained_on=_describe_lessons(config, start),
    )
    return replace_folder(out / MODEL_FOLDER, lambda folder: write_model(folder, twin, about))


def _describe_lessons(config: Config, start: Base) -> tuple[str, ...]:
    """Return what a model has learned from, for its manifest: what its base learned from comes first."""
    origin = config.teacher.origin
    before = [each for each in start.trained_on if not each.startswith("calibrated on")]
    labels = [f"labels of {origin}"] if origin else []
    return tuple(dict.fromkeys((*before, *describe_sources(config.data.train), *labels)))
