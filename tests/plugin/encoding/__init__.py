"""Tests of plugin/encoding/."""
