"""Tests of model_export/onnx/."""
