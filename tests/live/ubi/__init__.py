"""User Behavior Insights on a real OpenSearch, without its plugin."""
