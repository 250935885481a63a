"""How good and how fast: measures, tables and plots for `docs/models.md`."""
