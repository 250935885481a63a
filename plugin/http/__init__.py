"""Messages of one hop: requests, responses, and who sent them."""
