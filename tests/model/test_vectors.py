"""The vector cache: every text embedded once, whatever is killed, damaged or forgotten."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from batchy import DIMENSION, ONE, Batchy, many
from tiny_release import fast_folder

from perennial.errors import BadInput, EncoderMismatch, PlaceUnusable, Refused
from perennial.model import vectors as module
from perennial.model.digest import text_digest
from perennial.model.vector_folder import prune
from perennial.model.vectors import VectorCache, forget_vectors

OTHER = "sha256:" + "2" * 64
TEXTS = [f"text number {i}" for i in range(40)]
EMBED_FOR_EVER = """
import sys
from pathlib import Path
from batchy import ONE, Batchy, DIMENSION, many
from perennial.model.vectors import VectorCache
texts, digests = many(int(sys.argv[2]))
with VectorCache.open(Path(sys.argv[1]), encoder_digest=ONE, dimension=DIMENSION) as cache:
    cache.embed(Batchy(), texts, digests, progress=lambda done: print(done, flush=True))
"""


@pytest.fixture
def folder():
    with fast_folder() as place:
        yield place / "vectors"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 16)


def opened(folder, digest=ONE, **options):
    return VectorCache.open(folder, encoder_digest=digest, dimension=DIMENSION, **options)


def embed(folder, encoder, texts=TEXTS, said=None):
    with opened(folder, encoder.digest, say=(said if said is not None else []).append) as cache:
        return cache.embed(encoder, texts, [text_digest(text) for text in texts])


def database(folder):
    (path,) = folder.glob("*.sqlite")
    return path


def test_a_text_is_embedded_once(folder):
    encoder = Batchy()
    first = embed(folder, encoder, [*TEXTS, TEXTS[0], TEXTS[39]])
    assert sorted(encoder.encoded) == sorted(TEXTS)
    again = embed(folder, encoder, TEXTS[::-1])
    assert len(encoder.encoded) == len(TEXTS)
    np.testing.assert_array_equal(first[:40], again[::-1])
    np.testing.assert_array_equal(first[40:], first[[0, 39]])
    with opened(folder) as cache:
        assert len(cache) == 40


def test_what_is_not_kept_is_known_as_such(folder):
    encoder = Batchy()
    made = embed(folder, encoder)
    with opened(folder) as cache:
        rows, known = cache.lookup([text_digest(t) for t in ("new", TEXTS[3], "newer", TEXTS[30])])
    assert known.tolist() == [False, True, False, True]
    np.testing.assert_array_equal(rows[known], made[[3, 30]])


def test_a_resumed_run_gives_the_bytes_of_one_that_was_never_killed(folder):
    texts, _ = many(70)
    whole = embed(folder / "whole", Batchy(), texts)

    class Dies(Batchy):
        def encode(self, texts):
            if len(self.encoded) >= 32:
                raise KeyboardInterrupt
            return super().encode(texts)

    with pytest.raises(KeyboardInterrupt):
        embed(folder / "killed", Dies(), texts)
    resumed = Batchy()
    np.testing.assert_array_equal(embed(folder / "killed", resumed, texts), whole)
    assert resumed.encoded == texts[32:]
    assert not np.array_equal(Batchy().encode(texts), whole), "the batch does show in the bytes"


@pytest.mark.slow
def test_a_kill_loses_at_most_a_chunk(folder):
    texts, digests = many(60_000)
    command = [sys.executable, "-c", EMBED_FOR_EVER, str(folder), str(len(texts))]
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests.parent), str(tests), str(Path(__file__).parent)])
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    told = sum(int(process.stdout.readline()) for _ in range(3))
    os.kill(process.pid, signal.SIGKILL)
    rest, _ = process.communicate(timeout=240)
    told += sum(map(int, rest.split()))
    assert process.returncode == -signal.SIGKILL and told < len(texts)
    with opened(folder) as cache:
        assert told <= len(cache) <= told + 1024
        _, known = cache.lookup(digests[:told])
        assert known.all()


def test_two_processes_at_once_agree_on_every_vector(folder):
    one, other = Batchy(), Batchy()
    with opened(folder) as ours, opened(folder) as theirs:
        digests = [text_digest(text) for text in TEXTS]
        first = ours.embed(one, TEXTS[:8], digests[:8])
        second = theirs.embed(other, TEXTS[:24], digests[:24])
        third = ours.embed(one, TEXTS, digests)
    np.testing.assert_array_equal(third[:24], second)
    np.testing.assert_array_equal(second[:8], first)


def test_a_flipped_bit_anywhere_never_becomes_a_vector(folder):
    whole = embed(folder, Batchy())
    path = database(folder)
    good = path.read_bytes()
    outcomes = set()
    places = sorted({*range(0, 120, 5), *range(120, len(good), 397), *at_rows(good, whole)})
    for place in places:
        broken = bytearray(good)
        broken[place] ^= 0x10
        path.write_bytes(broken)
        encoder, said = Batchy(), []
        try:
            rows = embed(folder, encoder, said=said)
        except PlaceUnusable as error:
            outcomes.add("refused")
            assert "the vector cache" in str(error)
            for beside in folder.glob("*.sqlite-*"):
                beside.unlink()
            continue
        np.testing.assert_allclose(rows, whole, atol=1e-4)
        outcomes.add("rebuilt" if len(encoder.encoded) == 40 else "healed" if said else "harmless")
        assert bool(said) or not 0 < len(encoder.encoded) < 40 or place not in at_rows(good, whole)
    assert {"rebuilt", "healed", "harmless"} <= outcomes


def at_rows(data, rows):
    """Where each of a few vectors lies in the file."""
    found = {data.find(row.tobytes()) + 5 for row in rows[::9]}
    assert min(found) > 5
    return found


@pytest.mark.parametrize(
    "content", [b"", b"not a database at all, but long enough to look at" * 40], ids=len
)
def test_a_file_that_is_no_cache_is_begun_anew_and_said(folder, content):
    whole = embed(folder, Batchy())
    database(folder).write_bytes(content)
    said = []
    np.testing.assert_array_equal(embed(folder, Batchy(), said=said), whole)
    assert len(said) == (1 if content else 0), "an empty file is an empty cache"


def test_a_damaged_file_that_another_process_reads_is_left_to_it(folder):
    embed(folder, Batchy())
    with opened(folder):
        database(folder).write_bytes(b"x" * 50_000)
        with pytest.raises(Refused, match="another process uses it"), opened(folder):
            pass


def test_the_file_of_another_encoder_is_never_taken_for_this_ones(folder):
    embed(folder, Batchy(OTHER))
    database(folder).rename(folder / f"{'1' * 64}.sqlite")
    encoder, said = Batchy(), []
    embed(folder, encoder, said=said)
    assert len(encoder.encoded) == 40 and "was damaged" in said[0]
    with opened(folder) as cache, pytest.raises(EncoderMismatch, match="2222"):
        cache.embed(Batchy(OTHER), TEXTS, [])


def test_forgotten_texts_are_in_no_byte_of_the_folder(folder):
    whole = embed(folder, Batchy())
    embed(folder, Batchy(OTHER))
    digests = [text_digest(text) for text in TEXTS]
    with opened(folder) as cache:
        cache.retain(digests[5:])  # an earlier deletion, whose bytes may lie in free pages
    assert forget_vectors(folder, digests[:10]) == 5 + 10
    left = b"".join(path.read_bytes() for path in folder.iterdir())
    for row, digest in zip(whole[:10], digests[:10], strict=True):
        assert row.tobytes() not in left
        assert bytes.fromhex(digest[7:]) not in left
    assert whole[10].tobytes() in left
    encoder = Batchy()
    embed(folder, encoder)
    assert sorted(encoder.encoded) == sorted(TEXTS[:10])


def test_what_is_not_retained_makes_room_for_what_comes(folder):
    texts, _ = many(2000)
    embed(folder, Batchy(), texts)
    size = database(folder).stat().st_size
    for start in range(2000, 12_000, 2000):
        more = [f"more {i}" for i in range(start, start + 2000)]
        embed(folder, Batchy(), more)
        with opened(folder) as cache:
            cache.retain([text_digest(text) for text in more])
            assert len(cache) == 2000
    assert database(folder).stat().st_size < 3 * size


def test_the_files_of_encoders_that_are_gone_are_let_go(folder):
    for digest in (ONE, OTHER):
        embed(folder, Batchy(digest))
    with opened(folder):
        assert prune(folder, keep=[ONE], max_bytes=10**9) == [], "somebody may be using it"
    assert prune(folder, keep=[ONE], max_bytes=10**9) == [OTHER]
    assert prune(folder, keep=[ONE], max_bytes=10**9) == []
    assert prune(folder, keep=[ONE], max_bytes=0) == [ONE]


def test_an_encoder_that_gives_no_number_is_refused_and_nothing_of_it_kept(folder):
    class Broken(Batchy):
        def encode(self, texts):
            rows = super().encode(texts)
            rows[-1, 0] = np.nan
            return rows

    with pytest.raises(BadInput, match="NaN or Inf"):
        embed(folder, Broken())
    with opened(folder) as cache:
        assert len(cache) == 0


def test_a_place_that_cannot_be_written_is_one_sentence(folder):
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("in the way")
    with pytest.raises(PlaceUnusable, match="the vector cache"), opened(folder):
        pass
