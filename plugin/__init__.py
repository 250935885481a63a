"""The edge: the proxy in front of OpenSearch, its settings, and the command line."""

import os

from reranker.blas_threads import limit_blas_threads
from reranker.onnx_telemetry import disable_onnx_telemetry

# Here, since every module of the package may import numpy, and onnxruntime.
limit_blas_threads(os.environ)
disable_onnx_telemetry(os.environ)
