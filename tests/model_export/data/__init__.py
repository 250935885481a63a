"""Tests of model_export/data/."""
