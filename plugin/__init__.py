"""The edge: the proxy in front of OpenSearch, its settings, and the command line."""
