"""Held-out queries: the share, and that nothing of one content key stands on both sides."""

import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from perennial.data.split import content_key, is_held_out

WORDS = ["array", "matrix", "box", "class", "query", "cache", "größe", "évaluer", "naïve", "size"]
queries = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6)


def sides(*asked: str, share: float = 0.5, salt: str = "salt") -> set[bool]:
    return set(is_held_out(asked, share=share, salt=salt).tolist())


def test_about_the_asked_share_of_the_queries_is_held_out() -> None:
    asked = [f"question number {i}" for i in range(20_000)]
    for share in (0.1, 0.25, 0.5):
        held = is_held_out(asked, share=share, salt="perennial").mean()
        assert abs(held - share) < 4 * np.sqrt(share * (1 - share) / len(asked))


def test_another_salt_holds_out_others() -> None:
    asked = [f"question number {i}" for i in range(2_000)]
    one, two = (is_held_out(asked, share=0.25, salt=salt) for salt in ("one", "two"))
    assert 0.02 < (one & two).mean() < 0.11  # independent: a sixteenth


def test_a_larger_share_keeps_what_a_smaller_one_held_out() -> None:
    asked = [f"question number {i}" for i in range(2_000)]
    small, large = (is_held_out(asked, share=share, salt="s") for share in (0.1, 0.4))
    assert not (small & ~large).any()


def test_another_process_holds_out_the_same_queries() -> None:
    asked = [f"what is number {i}" for i in range(200)]
    program = (
        "from perennial.data.split import is_held_out\n"
        f"print(is_held_out({asked!r}, share=0.3, salt='s').astype(int).tolist())"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root
    )
    assert run.stdout.strip() == str(is_held_out(asked, share=0.3, salt="s").astype(int).tolist())


def test_no_query_is_an_empty_array_of_bool() -> None:
    held = is_held_out([], share=0.5, salt="s")
    assert held.dtype == bool and held.shape == (0,)


@given(queries, st.randoms(use_true_random=False))
def test_the_order_of_words_changes_no_side(words: list[str], random) -> None:
    shuffled = random.sample(words, len(words))
    assert content_key(" ".join(words)) == content_key(" ".join(shuffled))
    assert len(sides(" ".join(words), " ".join(shuffled))) == 1


@given(queries)
def test_composed_and_decomposed_letters_are_one_query(words: list[str]) -> None:
    text = " ".join(words)
    forms = {content_key(unicodedata.normalize(f, text)) for f in ("NFC", "NFD", "NFKC", "NFKD")}
    assert forms == {content_key(text)}


@given(queries)
def test_capitals_punctuation_and_stop_words_change_no_side(words: list[str]) -> None:
    plain = content_key(" ".join(words))
    assert content_key(" ".join(words).upper()) == plain
    assert content_key("What does the " + ", ".join(words) + " do for this?") == plain


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6, unique=True))
def test_the_plural_changes_no_side(words: list[str]) -> None:
    assert content_key(" ".join(plural(word) for word in words)) == content_key(" ".join(words))


def plural(word: str) -> str:
    if word.endswith("y"):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("x", "ss")) else "s")


def test_short_words_keep_their_plurals_too() -> None:
    for one, many in [("axe", "axes"), ("tie", "ties"), ("movie", "movies"), ("use", "uses")]:
        assert content_key(one) == content_key(many)


def test_the_parts_of_a_name_are_its_words() -> None:
    assert content_key("take_along_axis") == content_key("take along axis")


@given(st.text(max_size=60))
def test_every_text_has_a_key_and_the_key_is_its_own(text: str) -> None:
    key = content_key(text)
    assert bool(key) == bool(unicodedata.normalize("NFKC", text).strip())
    assert content_key(f"  {text}\n") == key
    assert len(sides(text, f"{text}  ")) == 1


def test_queries_that_ask_other_things_have_other_keys() -> None:
    asked = ["sort an array", "sort a matrix", "array", "inverse of a matrix", "😀", "🎉", "the"]
    assert len({content_key(query) for query in asked}) == len(asked)
