"""Where catalogues, judgements and logs come from."""
