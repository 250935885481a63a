"""The proxy and the commands in front of a real OpenSearch 2.19.1 with its security plugin."""
