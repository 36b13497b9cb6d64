"""`perennial reindex`: the catalogue's changes into what a channel serves."""
