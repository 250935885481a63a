"""The demo: real text, searched both ways."""
