"""Tests of plugin/experiments/."""
