"""Tests of plugin/harness/."""
