"""Search requests and responses: what is asked, and how a window is read from the answer."""
