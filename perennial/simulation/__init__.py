"""The simulated public. Whatever comes from it says "simulated"."""
