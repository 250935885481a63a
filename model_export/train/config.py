"""A training's configuration: one TOML file, from which it can be repeated.

`model_export.data.sources` describes the keys of its section `data`.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from model_export.data.sources import Count, DataSection, Section, Share
from model_export.errors import TrainingError
from model_export.labelling.recipe import read_recipe
from model_export.model.tower import Input

Rate = Annotated[float, Meta(gt=0, le=1)]
Weight = Annotated[float, Meta(ge=0)]


class ModelSection(Section, frozen=True):
    """The student's architecture and start.

    With `base` (as `export --base` takes it) it starts from that encoder and keeps `layers` of its query
    tower: `all`, `first:3`, `last:3`, `every:2` or a list of numbers. With `token_layers`, its word
    embeddings start as the output of that many first layers for each word piece alone. `prefix_of` is
    another base: the constants of its `prefix_layers` go into the base's layers first, one each. `lower_of`
    is another base too: its `lower_layers` come before the layers of the query tower, whose embeddings stay.
    Without `base` it starts from random weights of `hidden`, `heads`, `intermediate` and `num_layers`.
    `shared` means one tower for both sides; otherwise the document tower is the base's own, unchanged.
    `tokenizer` is a word-piece file for a start from random weights; tri-letters need `buckets`, or a
    `vocabulary` of that many frequent trigrams.
    """

    name: str
    licence: str
    base: str | None = None
    layers: str | tuple[int, ...] = "all"
    token_layers: Annotated[int, Meta(ge=0)] = 0
    prefix_of: str | None = None
    prefix_layers: str | tuple[int, ...] = "all"
    lower_of: str | None = None
    lower_layers: str | tuple[int, ...] = "first:1"
    shared: bool = True
    input: Input = "word_pieces"
    tokenizer: str | None = None
    buckets: int = 0
    vocabulary: int = 0
    pooling: Literal["cls", "mean", "weighted"] | None = None
    dim: Count | None = None
    crossing: Literal["cosine", "residual"] = "cosine"
    crossing_hidden: Count = 64
    hidden: Count = 128
    heads: Count = 4
    intermediate: Count = 512
    num_layers: Count = 2
    max_tokens: Count = 128
    query_prefix: str = ""


class TeacherSection(Section, frozen=True):
    """The teachers of the pairs: encoders (as `export --base` takes them, or bundles), cross-encoders.

    The logits of several are averaged. `labels` is a label file in place of them, and `recipe` the recipe
    that it was made with, whose sources the student then learns from. A teacher that is named beside it must
    be the one whose labels they are. `teaches` names the sources whose labels are learned, by default all.
    Sources in `held_back` are not learned at all: their labels are for the measure, over other passages.
    `origin` says what the teacher is, for the manifest. `int8` computes cross-encoders from ONNX graphs in
    integers.
    """

    encoders: tuple[str, ...] = ()
    cross_encoders: tuple[str, ...] = ()
    max_tokens: Count = 256
    labels: str | None = None
    recipe: str | None = None
    teaches: tuple[str, ...] | None = None
    held_back: tuple[str, ...] = ()
    origin: str | None = None
    int8: bool = False


class DistilSection(Section, frozen=True):
    """What the student learns.

    `align`: the base's own query vectors, or those that `bundle` gives in searches, without labels. The other
    objectives learn the teacher's scores of a query's relevant document and `negatives` others, with
    `gold_weight` of the loss from the labels. Of the negatives, `student_negatives` come from the student
    itself, again in each of `rounds`. `frozen_documents` keeps the document tower and encodes each document
    once. `frozen_queries` does the same for queries, so that only the crossing is learned.
    `frozen_embeddings` keeps the query tower's embeddings in an alignment, so that they take no extra space
    in a bundle that shares them. `targets` is the folder of the vectors to learn, which several students may
    share; by default it is in the run's folder.

    With `stored_vectors`, a query tower alone learns from labels, over the vectors that the recipe's bundle
    stores of their passages. It is the folder where `label` keeps them (`--cache`). `align_weight` times the
    alignment to that bundle's query vectors, for the queries of all sources, is then part of the loss, and so
    is `margin_weight` times `margin_mse`, with the same temperature. With `frozen_queries` as well, a
    residual crossing alone learns, over that bundle's vectors of both sides.
    """

    objective: Literal["align", "cross_entropy", "margin_mse", "listwise_kl"]
    gold_weight: Share = 0.2
    temperature: Annotated[float, Meta(gt=0)] = 1.0
    negatives: Count = 7
    student_negatives: Annotated[int, Meta(ge=0)] = 0
    rounds: Count = 1
    frozen_documents: bool = True
    frozen_queries: bool = False
    frozen_embeddings: bool = False
    targets: str | None = None
    bundle: str | None = None
    stored_vectors: str | None = None
    align_weight: Weight = 0.5
    margin_weight: Weight = 0.0


class RunSection(Section, frozen=True):
    """How the training runs.

    `evaluate_every` is the number of steps between evaluations on the development set, `patience` the number
    of evaluations without improvement after which the run ends. The device `auto` is a GPU if there is one.
    `precision` is that of matrix products: `auto` is bfloat16 on a GPU and float32 on a CPU, though a CPU
    with avx512_bf16 is faster with bfloat16 too. The optimiser `muon` trains the matrices with Muon at
    `muon_rate`, the rest with AdamW at `learning_rate`. It needs fewer and larger batches, each of which
    takes a third of a second longer for three layers of 384 on one core.
    """

    seed: int = 1
    epochs: Count = 3
    batch_size: Count = 32
    learning_rate: Rate = 1e-4
    optimiser: Literal["adamw", "muon"] = "adamw"
    muon_rate: Rate = 0.02
    warmup: Share = 0.06
    evaluate_every: Count = 200
    patience: Count = 10
    threads: Count = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    max_minutes: Annotated[float, Meta(gt=0)] | None = None


class Config(Section, frozen=True):
    """The whole file; relative paths in it are relative to the working folder."""

    model: ModelSection
    data: DataSection
    distil: DistilSection
    teacher: TeacherSection = TeacherSection()
    run: RunSection = RunSection()


class TeacherConfig(Section, frozen=True):
    """The file of `twinrank-export teacher`: a cross-encoder, fine-tuned from `base` on labelled pairs."""

    base: str
    data: DataSection
    max_tokens: Count = 256
    negatives: Count = 7
    run: RunSection = RunSection()


AnyConfig = TypeVar("AnyConfig", Config, TeacherConfig)


def read_config(file: Path) -> Config:
    """Read the file of `train`.

    Raises:
        TrainingError: it cannot be read, is not TOML, a key is missing, unknown or has a wrong value, no
            source is named, or it asks for labels and for what labels cannot give.
    """
    config = _parse(file, Config)
    if config.distil.stored_vectors is not None:
        _check_stored(config, file)
    if config.teacher.labels is None and config.teacher.recipe is None:
        return _read(file, Config)
    return _take_recipe(config, file)


def read_teacher_config(file: Path) -> TeacherConfig:
    """Read the file of `teacher`.

    Raises:
        TrainingError: as `read_config`.
    """
    return _read(file, TeacherConfig)


def _take_recipe(config: Config, file: Path) -> Config:
    """Let the recipe of the labels give the sources."""
    teacher, data, distil = config.teacher, config.data, config.distil
    if teacher.labels is None or teacher.recipe is None:
        raise TrainingError(f"expected labels and their recipe in teacher of {file}, found one of them")
    if distil.stored_vectors is not None:
        data = _resolve_like(data, file, seen=(file.resolve(),))
    elif data.train or data.like:
        raise TrainingError(
            f"expected no sources in data.train of {file}, as the recipe of the labels names them, found some"
        )
    if distil.objective == "align" or distil.student_negatives or distil.rounds > 1:
        raise TrainingError(
            f"expected an objective over scores, no student_negatives and one round in {file}, because labels"
            " are of their recipe's pairs alone, found others"
        )
    sources = (*read_recipe(Path(teacher.recipe)).sources, *data.train)
    return msgspec.structs.replace(config, data=msgspec.structs.replace(data, train=sources))


def _check_stored(config: Config, file: Path) -> None:
    """Refuse what has no effect on a query tower that learns over stored vectors."""
    model, distil = config.model, config.distil
    if config.teacher.labels is None or model.base is None or model.shared or distil.gold_weight:
        raise TrainingError(
            f"expected labels, a base, shared = false and gold_weight = 0 beside stored_vectors in {file},"
            " found others"
        )
    if (model.crossing == "residual") != distil.frozen_queries:
        raise TrainingError(
            'expected crossing = "residual" and frozen_queries = true together, or neither, beside'
            f" stored_vectors in {file}: either the crossing learns or the query tower"
        )


def _read(file: Path, kind: type[AnyConfig]) -> AnyConfig:
    config = _parse(file, kind)
    data = _resolve_like(config.data, file, seen=(file.resolve(),))
    if not data.train:
        raise TrainingError(f"expected sources in data.train of {file}, found none")
    return msgspec.structs.replace(config, data=data)


def _resolve_like(data: DataSection, file: Path, *, seen: tuple[Path, ...]) -> DataSection:
    """Put the sources and exclusions of the configuration named by `like` before a section's own."""
    if data.like is None:
        return data
    other = (file.parent / data.like).resolve()
    if other in seen:
        raise TrainingError(f"expected a configuration with sources of its own, found {other} like itself")
    first = _resolve_like(_parse(other, Config).data, other, seen=(*seen, other))
    return msgspec.structs.replace(
        data, train=first.train + data.train, exclude=first.exclude + data.exclude, like=None
    )


def _parse(file: Path, kind: type[AnyConfig]) -> AnyConfig:
    try:
        return msgspec.convert(tomllib.loads(file.read_text()), kind)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise TrainingError(f"expected a configuration in {file}, found: {error}") from error
