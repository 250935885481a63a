"""Offline tools: train a model, turn it into a bundle, and measure both."""

import os

from reranker.blas_threads import limit_blas_threads

limit_blas_threads(os.environ, beside_torch=True)  # here, because any module of the package may import numpy
