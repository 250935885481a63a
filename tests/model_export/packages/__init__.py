"""Tests of model_export/packages/."""
