"""The vector field: `vector_field` reads it in a hit, `redaction` removes it, `stored_vectors` fetches it."""
