"""`perennial export`: the encoder that serves, in a form that needs no torch."""
