"""Tests of plugin/options/."""
