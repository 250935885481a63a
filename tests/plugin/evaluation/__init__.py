"""Tests of plugin/evaluation/."""
