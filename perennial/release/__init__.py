"""Bundles, manifests, the store and channels: what is shipped, and where it is kept."""
