"""Bringing a release into a store, so that nothing ever names what is not there."""
