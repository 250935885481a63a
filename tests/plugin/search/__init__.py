"""Tests of plugin/search/."""
