"""params.yaml as values: what each number means stands beside it there.

A stage gets its own section; the rooms get plain values and never see these classes.
"""
