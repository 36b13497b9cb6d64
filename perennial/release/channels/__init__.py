"""The pointers to what is served, and every move of them: forward, back, on hold."""
