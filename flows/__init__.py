"""When: one story per file, each a Prefect flow that a person can start with `python -m`."""
