"""The rollout as verbs: what it will need, and one look at it that any process may take."""
