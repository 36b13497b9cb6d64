"""A game day: a running system is broken on purpose, and tells what it noticed."""
