"""Options that several commands take, and what they are read into."""
