"""Quality and speed: measures, tables and plots for `docs/reference/models.md`."""
