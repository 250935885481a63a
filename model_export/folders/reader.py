"""A model folder as it was downloaded becomes a base: every file is checked before weights are read."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from tokenizers import Tokenizer

from model_export.errors import ExportError
from model_export.folders.architectures import FAMILIES, EncoderReader
from model_export.folders.config import CONFIG_FILE, read_config
from model_export.folders.files import MAX_TOKENIZER_BYTES, ModelFiles, join
from model_export.folders.graphs import GraphReader
from model_export.folders.limits import TOKENIZER_CONFIG_FILE, TextLimits
from model_export.folders.modules import SIDES, DenseModule, PoolingModule, SideModules, read_sides
from model_export.folders.weights import WeightFiles
from model_export.model.base import Base
from model_export.model.base_tokenizer import TOKENIZER_FILE, check_tokenizer
from model_export.model.graph_tower import GraphTower
from model_export.model.head import CutStage, DenseStage, NormalizeStage, Stage
from model_export.model.pooling import Cls, Last, Mean, Pooling, PositionMean
from model_export.model.prompts import PROMPTS_FILE, PromptChoice, parse_prompts
from model_export.model.tokens import QUERY_TOKENS
from model_export.model.tower import Tower
from reranker.languages import find_scripts
from reranker.manifest import PlainName

TransformerReader = EncoderReader | GraphReader
POOLING_NAMES = ("cls", "mean", "last", "position_mean")
_MAKE_TOKENIZER = (
    "make it with transformers, from the files that the model has: AutoTokenizer.from_pretrained(FOLDER),"
    " then save_pretrained(FOLDER)"
)


@dataclass(frozen=True)
class FolderOptions:
    """What somebody says about a folder beside its files.

    `pooling` is for folders without a file that names it. `dim` keeps the first values of a Matryoshka
    model's vectors.
    """

    name: str | None = None
    pooling: str | None = None
    query_prompt: PromptChoice = field(default_factory=PromptChoice)
    document_prompt: PromptChoice = field(default_factory=PromptChoice)
    dim: int | None = None
    licence: str | None = None
    languages: tuple[str, ...] | None = None


DEFAULT_FOLDER_OPTIONS = FolderOptions()


@dataclass(frozen=True)
class TowerPlan:
    """What a side's tower is made of; sides with equal plans share a tower.

    `skipped` tokens at a text's beginning do not count in the pooling. In `head`, None is a normalisation.
    """

    folder: str
    pooling: str
    skipped: int
    head: tuple[DenseModule | None, ...]


@dataclass(frozen=True)
class FolderSide:
    """One side of a folder's model: its tower, what is put before a text, and how much of it is read."""

    plan: TowerPlan
    prompt: str
    max_tokens: int


@dataclass(frozen=True)
class ModelFolder:
    """A folder whose files were checked; `load` reads the weights."""

    files: ModelFiles
    sides: Mapping[str, FolderSide]
    encoders: Mapping[str, TransformerReader]
    heads: Mapping[str, WeightFiles]
    tokenizer: str
    options: FolderOptions

    @classmethod
    def open(cls, path: Path, options: FolderOptions = DEFAULT_FOLDER_OPTIONS) -> "ModelFolder":
        """Check every file of a folder but the numbers in its weights.

        Raises:
            ExportError: a file is missing or malformed, leads out of the folder, or asks for something that a
                bundle cannot do. The message names it.
            LanguageError: a language is unknown.
        """
        _check_names(options)
        files = ModelFiles(path)
        modules = read_sides(files)
        prompts = parse_prompts(
            files.read_json_if_any(PROMPTS_FILE, dict[str, Any]) or {},
            files.root / PROMPTS_FILE,
            is_normalised=all(each.is_normalised for each in modules.values()),
        )
        chosen = {
            "query": prompts.find_query(options.query_prompt),
            "document": prompts.find_document(options.document_prompt),
        }
        encoders = {each.folder: read_encoder(files, each.folder) for each in modules.values()}
        limits = {
            folder: TextLimits.read(files, folder, encoder.max_tokens) for folder, encoder in encoders.items()
        }
        tokenizer = _read_tokenizer(files, encoders, limits)
        sides = {}
        for side in SIDES:
            own = modules[side]
            pooling = _find_pooling(path, own, options.pooling)
            skipped = 0 if pooling.include_prompt else _count_prompt(tokenizer, chosen[side])
            plan = TowerPlan(own.folder, pooling.name, 0 if pooling.name == "last" else skipped, own.head)
            sides[side] = FolderSide(plan, chosen[side], limits[own.folder].max_tokens)
        heads = {each.folder: WeightFiles(files, each.folder) for each in _list_dense(sides)}
        _check_dims(path, sides, encoders, heads, options.dim)
        return cls(files, sides, encoders, heads, tokenizer, options)

    def load(self) -> Base:
        """Read the weights, and return the base of a bundle.

        Raises:
            ExportError: weights cannot be read, or are not finite.
        """
        transformers = {folder: encoder.load() for folder, encoder in self.encoders.items()}
        plans = {side.plan for side in self.sides.values()}
        towers = {plan: self._make_tower(plan, transformers[plan.folder]) for plan in plans}
        query, document = (self.sides[side] for side in SIDES)
        limits = [document.max_tokens, *([query.max_tokens] if query.max_tokens < QUERY_TOKENS else [])]
        return Base(
            name=self.options.name or find_name(self.files.root),
            query=towers[query.plan],
            document=towers[document.plan],
            tokenizer=self.tokenizer,
            query_prefix=query.prompt,
            document_prefix=document.prompt,
            origin=find_origin(self.files.root),
            licence=self.options.licence or "not given: see the model's card",
            trained_on=(f"as {find_origin(self.files.root)}",),
            languages=self.options.languages,
            max_tokens=min(limits),
        )

    def _make_tower(self, plan: TowerPlan, transformer: Any) -> Tower:  # noqa: ANN401 - BERT or another
        pooling, head, reader = _make_pooling(plan), self._load_head(plan), self.encoders[plan.folder]
        if isinstance(reader, EncoderReader):
            return Tower(transformer, pooling, head=head)
        return GraphTower(transformer, reader.graph, pooling, max_tokens=reader.max_tokens, head=head)

    def _load_head(self, plan: TowerPlan) -> list[Stage]:
        stages: list[Stage] = [
            NormalizeStage() if each is None else load_dense(each, self.heads[each.folder])
            for each in plan.head
        ]
        return [*stages, CutStage(self.options.dim)] if self.options.dim else stages


def read_encoder(files: ModelFiles, folder: str) -> TransformerReader:
    """Check a transformer's settings and the shapes of its weights.

    Raises:
        ExportError: it is of a kind that the exporter has no graph for, or its files do not fit each other.
    """
    config = read_config(files, folder)
    place = str(files.root / join(folder, CONFIG_FILE))
    if config["model_type"] in FAMILIES:
        return EncoderReader(place, config, WeightFiles(files, folder))
    return GraphReader(files, folder, place, config)


def load_dense(module: DenseModule, weights: WeightFiles) -> DenseStage:
    """Read the weights of a Dense module.

    Raises:
        ExportError: they cannot be read, or are not finite.
    """
    names = [f"linear.{part}" for part in ("weight", "bias") if part == "weight" or module.has_bias]
    tensors = weights.load({name: name for name in names})
    return DenseStage(tensors["linear.weight"], tensors.get("linear.bias"), module.activation)


def find_name(root: Path) -> str:
    """Return a bundle's name from a folder's: of a snapshot in Hugging Face's cache, the model's."""
    real = root.resolve()
    name = real.parent.parent.name.rpartition("--")[2] if real.parent.name == "snapshots" else real.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._") or "model"


def find_origin(root: Path) -> str:
    """Return where a folder's model comes from: ORGANISATION/NAME in Hugging Face's cache, else its name."""
    real = root.resolve()
    if real.parent.name != "snapshots":
        return find_name(root)
    return "/".join(real.parent.parent.name.removeprefix("models--").split("--"))


def _check_names(options: FolderOptions) -> None:
    """Check what the manifest will hold as it was given: it is written at the end, after minutes."""
    try:
        msgspec.convert(options.name, PlainName | None)
    except msgspec.ValidationError as error:
        raise ExportError(
            f"expected --name of letters, digits, dots, hyphens and underscores, found {options.name!r}"
        ) from error
    for tag in options.languages or ():
        find_scripts(tag)


def _find_pooling(path: Path, modules: SideModules, given: str | None) -> PoolingModule:
    if modules.pooling is None:
        if given is None:
            raise ExportError(
                f"expected 1_Pooling/config.json in {path}, or --pooling, found neither: the model's card"
                f" says which of {', '.join(POOLING_NAMES)} it was trained with"
            )
        return PoolingModule(given)
    if given not in (None, modules.pooling.name):
        raise ExportError(
            f"expected the pooling {modules.pooling.name}, as the files in {path} say, found --pooling"
            f" {given}: the model was trained with the former"
        )
    return modules.pooling


def _read_tokenizer(
    files: ModelFiles, encoders: Mapping[str, TransformerReader], limits: Mapping[str, TextLimits]
) -> str:
    """Return the tokeniser of all encoders, checked against each."""
    found: dict[str, str] = {}
    for folder, encoder in encoders.items():
        name = join(folder, TOKENIZER_FILE)
        data = files.read_bytes(name, MAX_TOKENIZER_BYTES, why=_MAKE_TOKENIZER)
        files.find(join(folder, TOKENIZER_CONFIG_FILE))  # a link that leads out is refused here
        try:
            found[folder] = data.decode()
        except UnicodeDecodeError as error:
            raise ExportError(f"expected a tokenizer in {files.root / name}, found: {error}") from error
        check_tokenizer(
            files.root / folder,
            found[folder],
            rows=encoder.vocab_size,
            lower_case=limits[folder].lower_case,
        )
    if len({_without_limits(content) for content in found.values()}) > 1:
        raise ExportError(
            f"expected one tokenizer for queries and documents in {files.root}, found others in"
            f" {' and '.join(found)}: a bundle has one"
        )
    return next(iter(found.values()))


def _without_limits(content: str) -> str:
    return json.dumps(json.loads(content) | {"padding": None, "truncation": None}, sort_keys=True)


def _count_prompt(content: str, prompt: str) -> int:
    """Return how many tokens a prompt has, with the special ones before it, as sentence-transformers counts.

    A special token after it is not counted.
    """
    if not prompt:
        return 0
    tokenizer = Tokenizer.from_str(content)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    mask = tokenizer.encode(prompt).special_tokens_mask
    return len(mask) - (1 if mask[-1] else 0)


def _list_dense(sides: Mapping[str, FolderSide]) -> list[DenseModule]:
    return [module for side in sides.values() for module in side.plan.head if module is not None]


def _check_dims(
    path: Path,
    sides: Mapping[str, FolderSide],
    encoders: Mapping[str, TransformerReader],
    heads: Mapping[str, WeightFiles],
    dim: int | None,
) -> None:
    """Check that each layer takes what the one before it gives, and that both sides end alike."""
    found: dict[str, int] = {}
    for side, about in sides.items():
        wide = encoders[about.plan.folder].hidden_size
        for module in filter(None, about.plan.head):
            shapes = dict(heads[module.folder].shapes)
            expected: dict[str, Any] = {"linear.weight": (module.outputs, module.inputs)}
            expected |= {"linear.bias": (module.outputs,)} if module.has_bias else {}
            if shapes != expected or module.inputs != wide:
                raise ExportError(
                    f"expected in {path / module.folder} a layer from {wide} values with {expected}, found"
                    f" {shapes}"
                )
            wide = module.outputs
        found[side] = wide
    if len(set(found.values())) > 1:
        raise ExportError(f"expected vectors of one dimension in {path}, found {found}")
    if dim is not None and not 0 < dim < min(found.values()):
        raise ExportError(f"expected --dim from 1 to {min(found.values()) - 1}, found {dim}")


def _make_pooling(plan: TowerPlan) -> Pooling:
    if plan.pooling == "last":
        return Last()
    if plan.pooling == "cls":
        return Cls(plan.skipped)
    return Mean(plan.skipped) if plan.pooling == "mean" else PositionMean(plan.skipped)
