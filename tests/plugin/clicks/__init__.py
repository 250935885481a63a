"""Tests of plugin/clicks/."""
