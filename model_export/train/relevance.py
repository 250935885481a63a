"""Which output of a classifier is relevance."""

from collections.abc import Mapping

from model_export.errors import TrainingError
from reranker.arrays import Floats

_RELEVANT, _IRRELEVANT = {"label_1", "relevant"}, {"label_0", "irrelevant", "not_relevant"}

Labels = Mapping[int, str]
"""Output -> its name: `id2label` of a model's configuration."""


def find_relevance_sign(outputs: int, labels: Labels | None) -> int:
    """Return 1 if relevance is a classifier's last output, and -1 if it is the first of two.

    One output is a logit of relevance. Of two, the names say which is relevance: `LABEL_0` and `LABEL_1`,
    which is what transformers writes if nobody named them, or `irrelevant` and `relevant`, in either order.

    Raises:
        TrainingError: there are more outputs, or the names of two say nothing about relevance.
    """
    if outputs == 1:
        return 1
    if outputs != 2:
        raise TrainingError(f"expected a classifier of one output or two, found {outputs} outputs")
    names = [(labels or {}).get(i, "").strip().lower().replace(" ", "_") for i in range(2)]
    if names[0] in _IRRELEVANT and names[1] in _RELEVANT:
        return 1
    if names[0] in _RELEVANT and names[1] in _IRRELEVANT:
        return -1
    raise TrainingError(
        "expected one output, or two that id2label in config.json names LABEL_0 and LABEL_1, or irrelevant"
        f" and relevant, found two with the names {names}: write into it which of them is relevance"
    )


def compute_relevance(outputs: Floats, sign: int) -> Floats:
    """Return the logit of relevance: outputs (pairs, 1 or 2) -> (pairs,).

    That is the one output, or the difference of two, times `sign`.
    """
    logits: Floats = outputs[:, 0] if outputs.shape[1] == 1 else sign * (outputs[:, 1] - outputs[:, 0])
    return logits
