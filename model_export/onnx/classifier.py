"""A BERT cross-encoder as an ONNX graph of fused operators, written from its weights."""

import copy

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper
from transformers import BertForSequenceClassification

from model_export.errors import ExportError
from model_export.model.tower import Tower
from model_export.onnx.encoder import EncoderGraph, check_fusion
from model_export.onnx.linear import multiply_exactly
from model_export.onnx.nodes import Nodes
from model_export.onnx.weights import WeightFile

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
MAX_DIFFERENCE = 1e-3
"""Largest difference of a logit between torch and the graph."""


def build_classifier(model: BertForSequenceClassification) -> onnx.ModelProto:
    """Return a classifier's graph in float32: int64 INPUTS (batch, tokens) -> logits (batch, outputs).

    Raises:
        ExportError: the graph does not compute what torch does.
    """
    layers = model.config.num_hidden_layers
    built = _PairGraph(model, Nodes(WeightFile(inline=True))).build(layers)
    check_fusion(built, layers)
    _compare(model, built)
    return built


class _PairGraph(EncoderGraph):
    """The layers of an encoder, with segments before them, and a pooler and a classifier after them."""

    def __init__(self, model: BertForSequenceClassification, nodes: Nodes) -> None:
        bert = copy.deepcopy(model.bert)
        segments = bert.embeddings.token_type_embeddings.weight.detach().numpy().copy()
        super().__init__(Tower(bert, "cls"), multiply_exactly, nodes)
        self._segments = segments - segments[:1]  # the tower has the first one's row in its positions
        self._classifier = model.classifier

    def build(self, layers: int) -> onnx.ModelProto:
        """Return the graph with these many layers, whose output is the logits."""
        op, constant = self._nodes.op, self._nodes.constant
        first = self._pool(self.run_layers(layers))
        pooler = self._read_dense("pooler.dense")
        pooled = op("Add", self._linear(self._nodes, first, pooler), self._add_bias(pooler))
        weight, bias = (each.detach().numpy() for each in (self._classifier.weight, self._classifier.bias))
        logits = op("MatMul", op("Tanh", pooled), constant("classifier.weight", weight.T))
        op("Add", logits, constant("classifier.bias", bias), output="logits")
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in INPUTS
        ]
        outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(bias)])]
        return self._nodes.build_graph("classifier", inputs, outputs)

    def _embed(self) -> str:
        sides = self._nodes.op("Gather", self._nodes.constant("segments", self._segments), INPUTS[2])
        return self._nodes.op("Add", super()._embed(), sides)


def _compare(model: BertForSequenceClassification, built: onnx.ModelProto) -> None:
    """Check the graph's logits of random tokens against torch's."""
    random, config = np.random.default_rng(0), model.config
    mask = np.tril(np.ones((6, 6), np.int64))
    ids = random.integers(0, config.vocab_size, mask.shape)
    segments = random.integers(0, config.type_vocab_size, mask.shape)
    feeds = dict(zip(INPUTS, (ids, mask, segments), strict=True))
    with torch.no_grad():
        expected = model(**{name: torch.from_numpy(values) for name, values in feeds.items()}).logits.numpy()
    session = onnxruntime.InferenceSession(built.SerializeToString(), providers=["CPUExecutionProvider"])
    difference = float(np.abs(session.run(None, feeds)[0] - expected).max())
    if not difference <= MAX_DIFFERENCE:
        raise ExportError(f"expected logits within {MAX_DIFFERENCE} of torch, found {difference}")
