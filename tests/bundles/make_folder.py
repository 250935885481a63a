"""Make model folders as people download them: tiny, with random weights from a seed."""

import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    CamembertConfig,
    CamembertModel,
    DistilBertConfig,
    DistilBertModel,
    ModernBertConfig,
    ModernBertModel,
    MPNetConfig,
    MPNetModel,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from model_export.bundle.texts import IN_MANY_SCRIPTS

SEED = 1968
DIM = 32
TYPE = "sentence_transformers.models"

_SHAPE: dict[str, Any] = {
    "hidden_size": DIM,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 2 * DIM,
    "initializer_range": 0.3,  # of the usual size, random weights hardly tell texts apart
}
_DISTIL: dict[str, Any] = {
    "dim": DIM,
    "n_layers": 2,
    "n_heads": 4,
    "hidden_dim": 2 * DIM,
    "initializer_range": 0.3,
}

ARCHITECTURES: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "bert": (BertModel, BertConfig, _SHAPE | {"max_position_embeddings": 96}, "word_piece"),
    "distilbert": (
        DistilBertModel,
        DistilBertConfig,
        _DISTIL | {"max_position_embeddings": 96},
        "word_piece",
    ),
    "roberta": (RobertaModel, RobertaConfig, _SHAPE | {"max_position_embeddings": 98}, "bytes"),
    "xlm-roberta": (XLMRobertaModel, XLMRobertaConfig, _SHAPE | {"max_position_embeddings": 98}, "unigram"),
    "camembert": (CamembertModel, CamembertConfig, _SHAPE | {"max_position_embeddings": 98}, "unigram"),
    "mpnet": (MPNetModel, MPNetConfig, _SHAPE | {"max_position_embeddings": 98}, "word_piece_s"),
    "modernbert": (
        ModernBertModel,
        ModernBertConfig,
        _SHAPE | {"max_position_embeddings": 96, "local_attention": 8, "initializer_cutoff_factor": 3.0},
        "bytes",
    ),
}
"""`model_type` -> its class, the class of its settings, these, and its kind of tokeniser."""

_BERT_TOKENS = {"pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "unk": "[UNK]"}
_ROBERTA_TOKENS = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>"}


def make_folder(
    folder: Path,
    kind: str = "bert",
    *,
    pooling: str = "mean",
    after: Sequence[str] = (),
    include_prompt: bool = True,
    prompts: dict[str, str] | None = None,
) -> Path:
    """Write a folder of sentence-transformers: modules `Transformer`, `Pooling` and those of `after`.

    `pooling` is a mode as sentence-transformers spells it. A module of `after` is `Normalize`, or `Dense:`
    and the activation's class in torch.nn.modules. Return the folder.
    """
    write_transformer(folder, kind)
    modules = ["Transformer", "Pooling", *(each.partition(":")[0] for each in after)]
    paths = ["", *(f"{place}_{name}" for place, name in enumerate(modules[1:], 1))]
    write_json(
        folder / "modules.json",
        [
            {"idx": place, "name": str(place), "path": path, "type": f"{TYPE}.{name}"}
            for place, (path, name) in enumerate(zip(paths, modules, strict=True))
        ],
    )
    write_pooling(folder / "1_Pooling", pooling, include_prompt=include_prompt)
    for path, each in zip(paths[2:], after, strict=True):
        if each.startswith("Dense"):
            write_dense(folder / path, each.partition(":")[2] or "activation.Tanh")
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 90, "do_lower_case": False})
    write_json(folder / "config_sentence_transformers.json", {"prompts": prompts or {}})
    return folder


def make_router(folder: Path) -> Path:
    """Write a folder with two towers over one tokeniser, as sentence-transformers 5 does, and return it."""
    types: dict[str, str] = {}
    structure: dict[str, list[str]] = {}
    for side, (layers, outputs) in {"query": (1, 24), "document": (2, 24)}.items():
        names = [f"{side}_{place}_{kind}" for place, kind in enumerate(("Transformer", "Pooling", "Dense"))]
        shared = folder / structure["query"][0] if structure else None  # training is not repeatable
        write_transformer(folder / names[0], "bert", tokenizer_of=shared, num_hidden_layers=layers)
        write_pooling(folder / names[1], "mean" if side == "query" else "cls")
        write_dense(folder / names[2], "linear.Identity", outputs=outputs)
        structure[side] = names
        types |= {name: f"{TYPE}.{name.rpartition('_')[2]}" for name in names}
    parameters = {"default_route": "document", "allow_empty_key": True}
    write_json(
        folder / "router_config.json", {"types": types, "structure": structure, "parameters": parameters}
    )
    modules = [("", "Router"), ("1_Normalize", "Normalize")]
    write_json(
        folder / "modules.json",
        [
            {"idx": place, "name": str(place), "path": path, "type": f"{TYPE}.{kind}"}
            for place, (path, kind) in enumerate(modules)
        ],
    )
    return folder


def write_transformer(
    folder: Path,
    kind: str,
    *,
    tokenizer_of: Path | None = None,
    **settings: Any,  # noqa: ANN401
) -> None:
    """Write settings, weights and tokeniser of a transformer; `tokenizer_of` is a folder that has one."""
    folder.mkdir(parents=True, exist_ok=True)
    model, config, shape, tokens = ARCHITECTURES[kind]
    if tokenizer_of is None:
        tokenizer = write_tokenizer(folder, tokens)
    else:
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(tokenizer_of / name, folder / name)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = {f"{name}_token_id": tokenizer.token_to_id(token) for name, token in _list_tokens(tokens).items()}
    ids |= {"bos_token_id": ids["cls_token_id"], "eos_token_id": ids["sep_token_id"]}
    shape = shape | {"vocab_size": tokenizer.get_vocab_size(), "pad_token_id": ids["pad_token_id"]} | settings
    torch.manual_seed(SEED)
    ids = {f"{name}_token_id": tokenizer.token_to_id(token) for name, token in _list_tokens(tokens).items()}
    made = model(config(**shape))
    with torch.no_grad():  # what every text shares, made small, so that vectors are well apart
        for name, tensor in made.named_parameters():
            if "position_embeddings" in name or "token_type" in name:
                tensor.mul_(0.2)
            elif name.endswith("bias"):
                tensor.normal_(std=0.1)
    made.save_pretrained(folder)


def write_graph(folder: Path) -> None:
    """Write the ONNX graph of the folder's transformer, as optimum does, into `onnx/model.onnx`."""
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    (folder / "onnx").mkdir()
    ids = torch.tensor([[5, 6, 7, 8], [5, 6, 0, 0]])
    axes = {0: "batch_size", 1: "sequence_length"}
    names = ["input_ids", "attention_mask", "last_hidden_state"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of each shape, and of itself
        torch.onnx.export(
            _States(model),
            (ids, (ids != 0).long()),
            str(folder / "onnx/model.onnx"),
            input_names=names[:2],
            output_names=names[2:],
            dynamic_axes=dict.fromkeys(names, axes),
            opset_version=14,
            dynamo=False,
        )


class _States(torch.nn.Module):
    """A transformer whose result is the states of tokens alone."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.model(
            input_ids=input_ids, attention_mask=attention_mask
        ).last_hidden_state
        return states


def write_pooling(folder: Path, mode: str, *, include_prompt: bool = True) -> None:
    """Write the settings of a pooling, as sentence-transformers 2 to 5 do."""
    key = {"cls": "cls_token", "mean": "mean_tokens", "weightedmean": "weightedmean_tokens"}.get(mode, mode)
    modes = ("cls_token", "mean_tokens", "max_tokens", "weightedmean_tokens", "lasttoken")
    flags = {f"pooling_mode_{name}": name == key for name in modes}
    write_json(
        folder / "config.json", {"word_embedding_dimension": DIM, "include_prompt": include_prompt} | flags
    )


def write_dense(
    folder: Path, activation: str, *, outputs: int = 24, bias: bool = True, inputs: int = DIM
) -> None:
    """Write a Dense module with random weights; `activation` is a class in torch.nn.modules."""
    write_json(
        folder / "config.json",
        {
            "in_features": inputs,
            "out_features": outputs,
            "bias": bias,
            "activation_function": f"torch.nn.modules.{activation}",
        },
    )
    torch.manual_seed(SEED)
    tensors = {"linear.weight": torch.randn(outputs, inputs) / inputs**0.5}
    if bias:
        tensors["linear.bias"] = torch.randn(outputs) * 0.2
    save_file(tensors, folder / "model.safetensors")


def write_tokenizer(folder: Path, kind: str) -> Tokenizer:
    """Write a tokeniser that was trained on the texts of exports, and its settings; return it."""
    tokens = _list_tokens(kind)
    tokenizer = _train_tokenizer(kind, list(tokens.values()))
    ends = [(tokens[part], tokenizer.token_to_id(tokens[part])) for part in ("cls", "sep")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{tokens['cls']} $A {tokens['sep']}",
        pair=f"{tokens['cls']} $A {tokens['sep']} $B {tokens['sep']}",
        special_tokens=ends,
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {f"{name}_token": token for name, token in tokens.items()}
    write_json(
        folder / "tokenizer_config.json",
        named | {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 90},
    )
    return tokenizer


def write_json(file: Path, content: object) -> None:
    """Write a JSON file into a folder, which may be new."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def _list_tokens(kind: str) -> dict[str, str]:
    return _BERT_TOKENS if kind == "word_piece" else _ROBERTA_TOKENS


def _train_tokenizer(kind: str, special: list[str]) -> Tokenizer:
    texts = [*IN_MANY_SCRIPTS.queries, *IN_MANY_SCRIPTS.documents]
    unknown = special[-1]
    trainer: Any
    if kind == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=700, special_tokens=special, unk_token=unknown)
    elif kind == "bytes":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=special, initial_alphabet=alphabet)
    else:
        tokenizer = Tokenizer(models.WordPiece(unk_token=unknown))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=700, special_tokens=special)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
