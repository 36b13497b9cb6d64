"""Team-draft interleaving: fair to both teams, and honest about which hit is whose."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from perennial.quality.interleaving import team_draft

rankings = st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=10)


@given(stable=rankings, candidate=rankings, k=st.integers(0, 12), seed=st.integers(0, 2**32 - 1))
def test_every_prefix_holds_the_best_of_both_and_nobody_picks_two_more(stable, candidate, k, seed):
    shown = team_draft(stable, candidate, k=k, seed=seed)
    documents = [doc for doc, _ in shown]
    assert len(set(documents)) == len(documents) == min(k, len({*stable, *candidate}))
    for length in range(len(shown) + 1):
        taken = set(documents[:length])
        for team, ranking in (("stable", stable), ("candidate", candidate)):
            own = [doc for doc, whose in shown[:length] if whose == team]
            # What a team picks is always its best that was left.
            assert own == [doc for doc in ranking if doc in own]
            if own:
                assert set(ranking[: ranking.index(own[-1])]) <= taken
        teams = Counter(team for _, team in shown[:length])
        exhausted = set(stable) <= taken or set(candidate) <= taken
        assert exhausted or abs(teams["stable"] - teams["candidate"]) <= 1
    assert shown == team_draft(stable, candidate, k=k, seed=seed)


def test_a_coin_says_who_picks_first():
    first = Counter(team_draft("ab", "cd", k=1, seed=seed)[0][1] for seed in range(2000))
    assert abs(first["candidate"] - 1000) < 4 * 500**0.5


def test_equal_rankings_are_split_evenly_and_shown_as_they_are():
    shown = team_draft("abcdef", "abcdef", k=6, seed=3)
    assert "".join(doc for doc, _ in shown) == "abcdef"
    assert Counter(team for _, team in shown) == {"stable": 3, "candidate": 3}
