"""Tests of model_export/labelling/."""
