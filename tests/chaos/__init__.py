"""Faults of every kind between proxy and OpenSearch and in the proxy, while clients search and write."""
