"""The native pipelines on a real OpenSearch 2.19.1 with ml-commons, and what differs between versions."""
