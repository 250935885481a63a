"""Tests of plugin/commands/."""
