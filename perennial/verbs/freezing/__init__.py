"""`perennial snapshot`: what is left out of a log, and what is replaced, before it is written."""
