"""The search service: the only code that knows HTTP."""
