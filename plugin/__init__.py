"""The edge: the proxy in front of OpenSearch, its settings, and the command line."""

import os

from reranker.blas_threads import limit_blas_threads

limit_blas_threads(os.environ)  # here, since every module of the package may import numpy
