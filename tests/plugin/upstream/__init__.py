"""Tests of plugin/upstream/."""
