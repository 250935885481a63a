"""Tests of plugin/compare/."""
