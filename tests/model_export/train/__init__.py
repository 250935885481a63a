"""Tests of model_export/train/."""
