"""Tests of model_export/model/."""
