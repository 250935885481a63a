"""Where a training runs, and with how many threads."""

import torch

from model_export.errors import TrainingError


def device_of(name: str) -> torch.device:
    """Return the device of this name; `auto` is a GPU where there is one.

    Raises:
        TrainingError: a GPU was asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise TrainingError("expected a GPU (device = cuda), found none: take device = auto or cpu")
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")
