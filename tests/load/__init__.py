"""Load at rising rates: the proxy beside nginx as a plain reverse proxy, and OpenSearch straight."""
