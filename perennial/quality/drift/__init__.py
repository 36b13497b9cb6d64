"""Whether what people ask, click and search in is still what it was; and what to do if not."""
