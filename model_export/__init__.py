"""Offline tools: train a model, turn it into a bundle, and measure both."""

import os

from reranker.blas_threads import limit_blas_threads
from reranker.onnx_telemetry import disable_onnx_telemetry

# Here, because any module of the package may import numpy, and onnxruntime.
limit_blas_threads(os.environ, beside_torch=True)
disable_onnx_telemetry(os.environ)
