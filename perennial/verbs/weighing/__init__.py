"""Indexes of the vectors that serve, weighed against each other: `perennial pareto`."""
