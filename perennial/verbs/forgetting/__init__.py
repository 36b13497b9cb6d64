"""`perennial forget --session`: everything that one session left behind, outside of weights."""
