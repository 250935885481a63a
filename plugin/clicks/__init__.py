"""Recorded searches and clicks (User Behavior Insights), and the judgements that they are worth."""
