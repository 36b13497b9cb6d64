from hypothesis import given
from hypothesis import strategies as st

from perennial.release.channels.history import HISTORY_LIMIT, Move, restored, standing, thinned

L, M, N = ("sha256:" + digit * 64 for digit in "123")


def release(i):
    return f"rel-{i:012x}"


def lineage_of(i):
    return (L, M, N)[i // 4 % 3]


def walk(steps):
    """Moves through the releases of those numbers; neighbours in number share an encoder."""
    moves = []
    for i, step in enumerate(steps):
        before = moves[-1].to if moves else None
        moves.append(Move(f"{i:06d}", before, release(step), "", "", lineage_of(step)))
    return moves


def named(history):
    return {history[0].from_, *(move.to for move in history)}


@given(st.lists(st.integers(0, 11), min_size=1, max_size=40), st.integers(4, 10))
def test_thinning_one_by_one_keeps_what_stable_stands_on(steps, limit):
    history = ()
    for move in walk(steps):
        full = standing((*history, move))
        history = thinned((*history, move), limit=limit)
        assert len(history) <= limit
        assert history[-1] == move
        kept = named(history)
        assert standing(history) == tuple(each for each in full if each in kept)


def test_a_month_of_reindexes_does_not_push_the_previous_lineage_out():
    history = ()
    for i in range(3_000):
        before = release(i - 1) if i else None
        lineage = L if i < 100 else M
        history = thinned((*history, Move(f"{i:06d}", before, release(i), "", "", lineage)))
    assert len(history) == HISTORY_LIMIT
    assert [move.to for move in history if move.lineage == L] == [release(0), release(99)]
    assert history[2].to == release(100)  # when the encoder changed stays known
    assert standing(history)[-1] == release(2_999)


def test_without_runs_of_one_lineage_the_oldest_goes():
    history = ()
    for i in range(HISTORY_LIMIT + 5):
        move = Move(str(i), None, release(i), "", "", (L, M)[i % 2])
        history = thinned((*history, move))
    assert history[0].to == release(5)


def test_a_thinned_release_that_is_gone_back_to_takes_its_old_place():
    history = walk([0, 1, 2, 3, 4])[:1] + walk([0, 1, 2, 3, 4])[3:]  # 1 and 2 were thinned out
    missing = Move("000001", None, release(1), "", "", L)
    put_back = restored(history, missing)
    assert standing(put_back) == tuple(map(release, [0, 1, 3, 4]))
    back = Move("000009", release(4), release(1), "", "", L)
    assert standing((*put_back, back)) == (release(0), release(1))


def test_a_release_that_never_was_stable_has_no_old_place():
    history = tuple(walk([0, 1, 4, 5]))
    for stranger in (
        Move("000000", None, release(2), "", "", L),  # a candidate: nothing was thinned out there
        Move("000001", None, release(8), "", "", N),  # of an encoder that nobody served
        Move("000009", None, release(2), "", "", L),  # newer than all
        Move("000000", None, release(1), "", "", L),  # named already
    ):
        assert restored(history, stranger) == history
