"""Tables and their columns; where they come from; clicks to judgements; judgements to triplets."""
