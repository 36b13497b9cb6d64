"""Docstrings that some packages write anew at each import, made the same every time."""

import re

# What an example printed: lines after a prompt, up to the next prompt or blank line. scipy draws
# some of them at random when it is imported, and none says what a function is for.
_PROMPT = re.compile(r"^\s*(>>>|\.\.\.)")
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")
# A set of names, printed in the order of this process's hash seed.
_SET = re.compile(r"\{('[^'{}\n]*'(?:, '[^'{}\n]*')+)\}")


def settled(docstring: str) -> str:
    """The docstring without printed example output, addresses and the order of printed sets."""
    kept, printed = [], False
    for line in docstring.splitlines():
        is_prompt = _PROMPT.match(line) is not None
        printed = (printed or is_prompt) and bool(line.strip())
        if is_prompt or not printed:
            kept.append(line)
    text = _ADDRESS.sub("0x0", "\n".join(kept))
    return _SET.sub(lambda found: "{" + ", ".join(sorted(found[1].split(", "))) + "}", text)
