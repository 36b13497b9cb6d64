"""The rollout of a candidate: what a step is, what follows from what was seen, and its writes."""
