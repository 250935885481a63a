"""Tests of plugin/admin/."""
