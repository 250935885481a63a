"""Endpoints, pages and commands for administrators."""
