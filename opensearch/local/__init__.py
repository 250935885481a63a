"""An OpenSearch of one's own: downloaded, configured, started and stopped."""
