"""Texts and vectors in, scores out. Knows nothing of HTTP, OpenSearch, the environment or torch.

`rerank` orders a window: it reads `window_vectors` and `crossing`, then `fusion`, `feedback` and `smoothing`.
`bundle` opens a model, and `encoder` runs it.

`plugin` and `model_export` share no other package. So what both need is here too: `judgements`, and
for the process of a command `blas_threads`, `extras`, `onnx_telemetry` and `printable`.
"""
