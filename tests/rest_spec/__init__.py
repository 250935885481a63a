"""OpenSearch's own YAML REST tests, run straight at OpenSearch and through the proxy, and compared."""
