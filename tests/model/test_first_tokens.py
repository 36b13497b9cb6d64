"""A long text's first tokens are those that its tokenizer leaves of all of them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tiny_encoder import things
from tokenizers import (
    AddedToken,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from perennial.model.first_tokens import first_tokens, reads_words_alone
from perennial.model.tokenizer import train_tokenizer


def bert():
    """As the encoders of others have it: words and their pieces."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[UNK]", "[CLS]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(things().documents, trainer)
    named = [("[CLS]", tokenizer.token_to_id("[CLS]"))]
    template = {"single": "[CLS] $A", "special_tokens": named}
    tokenizer.post_processor = processors.TemplateProcessing(**template)
    return tokenizer


def by_sentences():
    """Its pieces run across spaces."""
    tokenizer = Tokenizer(models.Unigram([("a", -1.0), (" ", -2.0), ("a a", -0.5)], unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("a a", "isolated")
    return tokenizer


OURS, BERT = train_tokenizer(things().documents, vocabulary=600), bert()
# Marks that compose, letters that grow or are one of several, spaces that no cut is made at.
LETTERS = "ab é\u0308\u00a8ßΣﬁ가\u1100ï.,_-[]()\t\r\x85\u2003😀中"
WORDS = st.one_of(
    st.text(st.sampled_from(LETTERS), max_size=9), st.sampled_from(["[CLS]", "word", "take_along"])
)
GAPS = st.sampled_from([" ", "\n", "  ", " \n", ""])
TEXT = st.lists(st.tuples(WORDS, GAPS).map("".join), max_size=60).map("".join)
TEXTS = st.lists(TEXT, max_size=4)


@pytest.mark.parametrize("tokenizer", [OURS, BERT], ids=["ours", "bert"])
@given(texts=TEXTS, most=st.integers(1, 12))
@example(texts=["a" * 500, "a " * 500, " " * 500, ""], most=3)
@example(texts=["Σ" * 14 + "Σ\nΣ " * 9], most=3)
def test_they_are_what_is_left_of_all(tokenizer, texts, most):
    tokenizer.enable_truncation(max_length=most)
    assert reads_words_alone(tokenizer)
    wanted = [each.ids for each in tokenizer.encode_batch(texts, add_special_tokens=False)]
    assert first_tokens(tokenizer, texts) == wanted
    tokenizer.no_truncation()
    whole = [each.ids for each in tokenizer.encode_batch(texts, add_special_tokens=False)]
    assert first_tokens(tokenizer, texts) == whole
    assert [ids[:most] for ids in whole] == wanted


class Reader:
    """A tokenizer that remembers how much it was given."""

    def __init__(self, tokenizer):
        self.tokenizer, self.read = tokenizer, 0

    def __getattr__(self, name):
        return getattr(self.tokenizer, name)

    def encode_batch_fast(self, texts, **options):
        self.read += sum(map(len, texts))
        return self.tokenizer.encode_batch_fast(texts, **options)


def test_of_a_long_text_most_is_not_read():
    reader = Reader(Tokenizer.from_str(OURS.to_str()))
    reader.enable_truncation(max_length=8)
    (ids, _) = first_tokens(reader, ["some words here " * 1_000, "short"])
    assert len(ids) == 8 and reader.read < 80


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.add_tokens(["two words"]),
        lambda it: it.add_tokens([AddedToken("mask", rstrip=True)]),
        lambda it: it.add_tokens(["\ufdfa"]),  # four words, to NFKC
        lambda it: it.enable_padding(length=8),
        lambda it: setattr(it, "post_processor", processors.TemplateProcessing(single="$A $A")),
        lambda it: it.enable_truncation(4, direction="left"),
        lambda it: setattr(it, "normalizer", normalizers.Replace("a a", "b")),
        lambda it: setattr(it, "pre_tokenizer", pre_tokenizers.ByteLevel()),
        lambda it: setattr(it, "pre_tokenizer", pre_tokenizers.Metaspace(prepend_scheme="first")),
        lambda it: setattr(it, "pre_tokenizer", None),
        lambda it: setattr(it, "model", models.BPE(dropout=0.5)),
    ],
)
def test_a_tokenizer_that_may_look_across_a_space_is_asked_whole(change):
    tokenizer = Tokenizer.from_str(OURS.to_str())
    assert reads_words_alone(tokenizer)
    change(tokenizer)
    assert not reads_words_alone(tokenizer)


def test_pieces_across_spaces_are_found():
    tokenizer = by_sentences()
    assert not reads_words_alone(tokenizer)
    tokenizer.enable_truncation(max_length=4)
    texts = ["a a" * 100]
    wanted = [each.ids for each in tokenizer.encode_batch(texts, add_special_tokens=False)]
    assert first_tokens(tokenizer, texts) == wanted
