"""Tests of model_export.folders."""
