"""Views for administrators: settings, coverage, comparison, health."""
