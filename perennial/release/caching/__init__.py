"""A reader's own copy of what it serves."""
