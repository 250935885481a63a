"""The device of a training, and the precision of its matrix products."""

from contextlib import AbstractContextManager

import torch

from model_export.errors import TrainingError


def choose_device(name: str) -> torch.device:
    """Return the device of this name; `auto` is a GPU if there is one.

    Raises:
        TrainingError: a GPU was requested and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise TrainingError("expected a GPU (device = cuda), found none: take device = auto or cpu")
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")


def use_precision(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which matrix products have this precision.

    `auto` is bfloat16 on a GPU and float32 on a CPU.
    """
    half = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=half)
