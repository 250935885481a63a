"""The settings of reranking: `table` defines them, `layers` says which apply, `index_settings` reads them."""
