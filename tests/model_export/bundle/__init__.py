"""Tests of model_export/bundle/."""
