"""Collections and examples to train and evaluate on."""
