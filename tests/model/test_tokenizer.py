"""The tokenizer that a catalogue trains: stable, without unknown words, names taken apart."""

import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tiny_encoder import things

from perennial.model.tokenizer import train_tokenizer

TRAINED = train_tokenizer(things().documents, vocabulary=600)


def test_another_process_trains_the_same_tokenizer() -> None:
    program = (
        "from tiny_encoder import things\n"
        "from perennial.model.tokenizer import train_tokenizer\n"
        "print(train_tokenizer(things().documents, vocabulary=600).to_str())"
    )
    tests = Path(__file__).parents[1]
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tests)
    assert run.stdout.rstrip("\n") == TRAINED.to_str()


def test_the_vocabulary_is_no_larger_than_asked() -> None:
    assert TRAINED.get_vocab_size() <= 600


def test_a_name_is_the_words_that_it_is_made_of() -> None:
    ids = TRAINED.encode("take along axis").ids
    assert ids == TRAINED.encode("Take_along.AXIS()").ids == TRAINED.encode("take-along/axis").ids


@given(st.text(min_size=1).filter(lambda text: any(letter.isalnum() for letter in text)))
def test_no_text_with_a_letter_is_empty(text: str) -> None:
    assert TRAINED.encode(text).ids
