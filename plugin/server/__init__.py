"""The proxy as a gunicorn application: workers, sockets, signals."""
