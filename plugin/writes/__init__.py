"""A write: enriched with vectors before OpenSearch gets it, repaired afterwards if need be."""
