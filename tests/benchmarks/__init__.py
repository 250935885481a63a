"""`make bench`: what a reranked search costs, against the budgets."""
