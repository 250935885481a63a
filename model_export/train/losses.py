"""Losses of a student, from a teacher's scores, labels or vectors."""

import torch
from torch.nn import functional


def soft_cross_entropy(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the cross-entropy of the student's probability with the teacher's.

    The mean of -y log p - (1 - y) log(1 - p), y = sigmoid(teacher / temperature), p = sigmoid(student).
    Both (queries, documents) logits. Source: TwinBERT (arXiv 2002.06275), equation 7.
    """
    return functional.binary_cross_entropy_with_logits(student, torch.sigmoid(teacher / temperature))


def margin_mse(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the mean square of (s+ - s-) - (t+ - t-) / temperature; the first document is the positive.

    Both (queries, documents) logits. Source: Hofstätter et al. (arXiv 2010.02666), equation 5.
    """
    student_margins = student[:, :1] - student[:, 1:]
    return functional.mse_loss(student_margins, (teacher[:, :1] - teacher[:, 1:]) / temperature)


def listwise_kl(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return KL(softmax(teacher / temperature) || softmax(student)) over documents, mean over queries.

    Both (queries, documents) logits. Source: Cao et al. 2007 (ListNet), with the teacher's scores as labels.
    """
    target = (teacher / temperature).log_softmax(dim=1)
    return functional.kl_div(student.log_softmax(dim=1), target, log_target=True, reduction="batchmean")


def gold_cross_entropy(student: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of sigmoid(student) with labels in 0 to 1, both (queries, documents)."""
    return functional.binary_cross_entropy_with_logits(student, labels)


def alignment(student: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean of 1 - cos(student, target), both (texts, dim) unit vectors."""
    return 1 - (student * target).sum(dim=1).mean()


OBJECTIVES = {
    "cross_entropy": soft_cross_entropy,
    "margin_mse": margin_mse,
    "listwise_kl": listwise_kl,
}
"""Every objective over a teacher's scores, by its name in a configuration."""
