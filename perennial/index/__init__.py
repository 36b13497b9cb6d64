"""Segments, build and search."""
