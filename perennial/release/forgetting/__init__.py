"""Removing a document from every byte that is kept."""
