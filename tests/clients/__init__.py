"""OpenSearch's official clients, doing their ordinary work straight and through the proxy."""
