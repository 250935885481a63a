"""Tests of model_export/evaluation/."""
