"""Deleting what nothing needs any more, beside whoever publishes."""
