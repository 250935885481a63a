"""Tests of plugin/demo/."""
