"""Tests of plugin/http/."""
