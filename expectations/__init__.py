"""What we accept: one Great Expectations suite per table; `python -m expectations` checks them."""
