"""Tests of plugin/server/."""
