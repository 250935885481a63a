"""How often a write is tried again after other writers changed its document meanwhile."""

ROUNDS = 3
"""How often a document is read, merged and written again; the last partial update goes without a lock."""

RETRIES = 3
"""How often OpenSearch merges that one again, unless the client says: the proxy made conflicts likelier."""
