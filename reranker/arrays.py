"""The types of the arrays that go from one module to another; docstrings give their shapes."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
"""Vectors, crossing scores and weights."""

Floats64 = npt.NDArray[np.float64]
"""First-stage scores, fused values and measures."""

Positions = npt.NDArray[np.intp]
"""Positions of hits in a window, counted from 0 in first-stage order."""

Booleans = npt.NDArray[np.bool_]
"""One truth value for each hit of a window."""
