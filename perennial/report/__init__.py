"""What a person sees of a retrain: a table in the terminal and a self-contained page."""
