"""`perennial bridge`: a new encoder's queries on the old index, for a while."""
