"""The public collections that the documentation and the training configurations name, and how to get them."""
