"""In which language a query is, told from letter sequences by py3langid, offline.

A short query is often told wrong, but wrong in the same way today and then: what one and the same
labelling makes of two logs never differs by more than the logs do (data processing inequality,
Csiszár 1967). So shares are compared, and no query's language is believed.
"""

from collections.abc import Callable
from functools import cache

UNKNOWN = "unknown"  # nothing in it that any language's model has seen: numbers, single letters


def language_of(text: str) -> str:
    """Its ISO 639-1 code."""
    identify, nothing = _identifier()
    language, score = identify(text)
    return UNKNOWN if score <= nothing else language


@cache
def _identifier() -> tuple[Callable[[str], tuple[str, float]], float]:
    """A function from a text to (language, score), and the score of a text that tells nothing.

    Reading the model, which the package brings along, takes a second.
    """
    from py3langid.langid import (  # type: ignore[import-untyped]
        MODEL_FILE,
        RAW_FLOOR,
        LanguageIdentifier,
    )

    return LanguageIdentifier.from_model_file(MODEL_FILE).classify, RAW_FLOOR
