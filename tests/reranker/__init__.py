"""Tests of reranker/."""
