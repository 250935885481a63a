"""The proxy as a server: connections, signals, load."""
