"""Quality and speed: measures, tables and plots for `docs/models.md`."""
