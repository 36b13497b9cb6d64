"""Encoders, losses and the training loop."""
