"""The lab: its data on a real server, and its page in a real browser."""
