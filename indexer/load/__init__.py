"""Files of documents, read and indexed with their vectors."""
