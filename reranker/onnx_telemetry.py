"""ONNX Runtime's telemetry, which is off: what Twinrank computes is nobody else's business.

Since version 1.29, the official packages for Linux report every model that is loaded to Microsoft. For that
they write into the user's `~/.cache`, and send over HTTPS from a thread of their own.
"""

from collections.abc import MutableMapping

DISABLE_TELEMETRY = "ORT_DISABLE_TELEMETRY"
"""The environment variable that ONNX Runtime reads when it is imported; its function for that is too late."""


def disable_onnx_telemetry(environment: MutableMapping[str, str]) -> None:
    """Turn telemetry off, before onnxruntime is imported; a value that is there already stays."""
    environment.setdefault(DISABLE_TELEMETRY, "1")
