"""What a write needs so that its document has a current vector."""
