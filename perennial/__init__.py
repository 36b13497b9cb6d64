"""Keeps a dense-retrieval search alive: the domain, free of orchestrators and trackers."""
