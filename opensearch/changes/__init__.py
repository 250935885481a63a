"""What has changed in an index, in the order of its sequence numbers."""
