"""Tests of plugin/ubi/."""
