"""Can a log tell what a rank is worth from how good its documents are?"""

import numpy as np
from scipy.sparse.csgraph import connected_components

from perennial.data.clicks.pages import Pages

_SHARE = 0.01  # of all impressions; a rank with less need not be told


def linked_ranks(pages: Pages) -> np.ndarray:
    """(k, k) impressions that two ranks share: of one pair, clicked at all, the rarer of its two
    ranks. Only such pairs compare two ranks with everything else equal."""
    ranks, pairs = pages.pairs.shape[1], len(pages.pair_query)
    shown = pages.shown
    seen = np.zeros((pairs, ranks), dtype=np.float32)
    rows, places = np.nonzero(shown)
    np.add.at(seen, (pages.pairs[rows, places], places), pages.seen[rows])
    clicked = pages.per_pair(pages.clicked) > 0
    moved = seen[clicked & ((seen > 0).sum(axis=1) > 1)]
    links = np.zeros((ranks, ranks))
    for rank in range(ranks):
        links[rank] = np.minimum(moved[:, rank : rank + 1], moved).sum(axis=0)
    return links


def is_identifiable(pages: Pages, *, min_links: float) -> bool:
    """True where all ranks that matter hang together by at least `min_links` shared impressions
    (the connectedness of Agarwal et al. 2019, "Estimating Position Bias without Intrusive
    Interventions", where interventions are the ranks that a document changed)."""
    seen = pages.per_rank(np.ones(pages.pairs.shape))
    matter = np.flatnonzero(seen >= _SHARE * max(float(seen.sum()), 1.0))
    if len(matter) < 2:
        return False
    links = linked_ranks(pages)[np.ix_(matter, matter)] >= min_links
    count, _ = connected_components(links, directed=False)
    return bool(count == 1)
