"""Towers and crossing as ONNX graphs, quantised."""
