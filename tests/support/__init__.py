"""What several suites use: servers, relays, indices, requests."""
