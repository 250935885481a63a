"""What is reported of each request: headers, access log, metrics, spans."""
