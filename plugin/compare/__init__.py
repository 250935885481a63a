"""One search in both orders: asked until it is reranked, and described for people."""
