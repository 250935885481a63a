"""Search requests and responses: what OpenSearch is asked, and how a window is read from its response."""
