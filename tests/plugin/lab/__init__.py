"""Tests of plugin/lab/."""
