"""The tokens of texts that are cut, without making those behind the cut.

A tokenizer makes all tokens of a text and then drops what is too many: of long documents most of
its time. One that parts a text at white space before anything else, and looks at each word alone,
gives a text's tokens also piece by piece, so that it may stop.
"""

import json
from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer

from perennial.model.tokenizer import SEPARATORS

# Characters that are read first, and then each time, per token that is wanted. Few texts have more
# characters a token than the first; what is read beyond the cut is at most the last.
_FIRST, _MORE = 5, 2
_LOCAL = {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "BertNormalizer"}
_PARTS_AT_SPACE = {"Whitespace", "WhitespaceSplit", "BertPreTokenizer"}
_ADDS_ONLY_SPECIALS = {"ByteLevel", "BertProcessing", "RobertaProcessing"}
_PARTS_WORDS = _PARTS_AT_SPACE | {"ByteLevel", "Digits", "Punctuation"}


def first_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """The ids of each text's tokens, no special ones, as many as the tokenizer's truncation
    leaves."""
    cut = tokenizer.truncation
    most = int(cut["max_length"]) if cut else 0
    size = _FIRST * most
    is_short = not most or max(map(len, texts), default=0) <= size
    if is_short or not reads_words_alone(tokenizer):
        return _ids(tokenizer, texts)
    rows: list[list[int]] = [[] for _ in texts]
    read, waiting = [0] * len(texts), list(range(len(texts)))
    while waiting:
        ends = [_end(texts[i], read[i], size) for i in waiting]
        pieces = [texts[i][read[i] : end] for i, end in zip(waiting, ends, strict=True)]
        for i, end, ids in zip(waiting, ends, _ids(tokenizer, pieces), strict=True):
            rows[i] += ids
            read[i] = end
        waiting = [i for i in waiting if len(rows[i]) < most and read[i] < len(texts[i])]
        size = _MORE * most
    return [row[:most] for row in rows]


def reads_words_alone(tokenizer: Tokenizer) -> bool:
    """Whether the tokens of a text are those of its beginning up to a space, and of the rest.

    True only of parts that are known to be so: the cut must leave the same tokens.
    """
    cut, model = tokenizer.truncation, tokenizer.model
    normalizers = _parts(tokenizer.normalizer, "normalizers")
    pre_tokenizers = _parts(tokenizer.pre_tokenizer, "pretokenizers")
    post_processors = _parts(tokenizer.post_processor, "processors")
    return (
        (cut is None or cut["direction"] == "right")
        and tokenizer.padding is None
        and all(map(_adds_only_specials, post_processors))
        and not getattr(model, "dropout", None)
        and all(each["type"] in _LOCAL for each in normalizers)
        and bool(pre_tokenizers)
        and _parts_at_space(pre_tokenizers[0])
        and all(each["type"] in _PARTS_WORDS for each in pre_tokenizers[1:])
        and not any(
            added.lstrip or added.rstrip or _spans_words(tokenizer, added.content)
            for added in tokenizer.get_added_tokens_decoder().values()
        )
    )


def _adds_only_specials(about: dict[str, Any]) -> bool:
    """Which are not asked for; a template may also say the text twice."""
    texts = [part for part in about.get("single", ()) if "Sequence" in part]
    return about["type"] in _ADDS_ONLY_SPECIALS or len(texts) == 1


def _spans_words(tokenizer: Tokenizer, content: str) -> bool:
    """Of a token as it is written, or as it is looked for."""
    seen = tokenizer.normalizer.normalize_str(content) if tokenizer.normalizer else content
    return not seen or any(map(str.isspace, content + seen))


def _parts_at_space(about: dict[str, Any]) -> bool:
    ours = {"pattern": {"Regex": SEPARATORS}, "behavior": "Removed", "invert": False}
    return about["type"] in _PARTS_AT_SPACE or about == {"type": "Split", **ours}


def _parts(of: Any, several: str) -> list[dict[str, Any]]:
    """What a normalizer or pre-tokenizer consists of, in its order; nothing of None."""
    if of is None:
        return []
    about = json.loads(of.__getstate__())
    return about[several] if about["type"] == "Sequence" else [about]


def _ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    return [each.ids for each in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def _end(text: str, begin: int, size: int) -> int:
    """The last place within `size` characters where a space begins, else the next one behind."""
    bound = begin + size
    if bound >= len(text):
        return len(text)
    end = max(text.rfind(space, begin + 1, bound) for space in " \n")
    if end > 0:
        return end
    return min((at for space in " \n" if (at := text.find(space, bound)) > 0), default=len(text))
