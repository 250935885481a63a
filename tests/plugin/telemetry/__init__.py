"""Tests of plugin/telemetry/."""
