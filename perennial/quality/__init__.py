"""How good an encoder is, how sure that is, and what follows from it."""
