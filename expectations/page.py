def render(outcomes, *, snapshot):
    return "x"
