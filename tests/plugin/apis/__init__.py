"""Tests of plugin/apis/."""
