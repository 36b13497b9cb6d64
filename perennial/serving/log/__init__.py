"""The log that a search service writes and the next snapshot reads."""
