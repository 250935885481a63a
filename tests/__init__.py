"""Tests: one file a module, live suites on a real OpenSearch."""

import os

from reranker.blas_threads import limit_blas_threads

limit_blas_threads(os.environ, beside_torch=True)
