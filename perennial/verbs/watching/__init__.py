"""The looks that a watch takes at a channel: what it reads, what it measures, what it remembers."""
