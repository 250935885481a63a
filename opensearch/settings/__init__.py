"""The settings of reranking: `table` defines them, `layers` says which apply, `target` reads them of indices.

`fusion` completes a search's fusion with the bundle's values, and `skip` says why a search is not reranked.
"""
