"""Offline: turn a trained encoder into a model bundle and compare it with the original."""

import os

from reranker.blas_threads import limit_blas_threads

limit_blas_threads(os.environ, beside_torch=True)  # here, since every module of the package may import numpy
