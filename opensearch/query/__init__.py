"""The text of a query, read from OpenSearch's query DSL."""
