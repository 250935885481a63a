"""JSON as bytes: what OpenSearch wrote is passed on to the last byte."""
