"""Training: from a configuration file to a trained TwinBERT, by alignment or distillation."""
