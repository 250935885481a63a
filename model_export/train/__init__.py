"""Data, teacher, distillation: from a configuration file to a trained TwinBERT."""
