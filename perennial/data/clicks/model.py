"""The click model of a log: chosen, fitted, and asked whether it describes the log at all."""

from dataclasses import dataclass, replace

import numpy as np

from perennial.data.clicks.cascade import expected_looks, fit_cascade
from perennial.data.clicks.fit import GoodnessOfFit, goodness_of_fit
from perennial.data.clicks.identify import is_identifiable
from perennial.data.clicks.pages import Pages
from perennial.data.clicks.position import fit_propensities
from perennial.data.clicks.relevance import log_likelihood

MODELS = ("auto", "position", "cascade", "plain")


@dataclass(frozen=True)
class ClickModel:
    """What was learned of looking: a name, and per rank the mean chance of a look with its error.

    `plain` knows no looks beyond the last click. `fit` and the log-likelihoods of all models that
    were fitted are None and empty where none was.
    """

    name: str
    identifiable: bool
    propensities: np.ndarray
    errors: np.ndarray
    chances: tuple[float, float] | None  # to look on after a click and after a skip
    log_likelihoods: dict[str, float]
    fit: GoodnessOfFit | None
    relevance: np.ndarray | None = None  # (pairs,) of the cascade, which its looks depend on

    def looks(self, pages: Pages) -> np.ndarray:
        """(p, k) chances that each rank of the pages was looked at, before its own click."""
        if self.name == "position":
            known = np.where(pages.shown, self.propensities[: pages.pairs.shape[1]], 0.0)
            return np.minimum(known, 1.0)
        if self.name == "cascade":
            assert self.chances is not None and self.relevance is not None
            return expected_looks(pages, self.chances, self.relevance)
        # Whoever clicked at rank r has looked at ranks 1 to r (Joachims et al. 2005, skip-above);
        # the rest of the page, and a page without a click, say nothing.
        below = pages.clicked[:, ::-1].cumsum(axis=1)[:, ::-1]
        return np.where(pages.shown & (below > 0), 1.0, 0.0)


def fit_model(
    pages: Pages, *, wanted: str, min_links: float, significance: float, max_misfit: float
) -> ClickModel:
    """The model that is wanted, or where that is auto the one that the clicks are likelier under.

    Where no document stood at several ranks often enough, no model can tell a rank's worth from its
    documents', and the plain estimate is what remains. Both models have one relevance a pair, so
    that likelihoods of the same log compare.
    """
    ranks = pages.pairs.shape[1]
    unknown = np.full(ranks, np.nan)
    plain = ClickModel("plain", False, unknown, unknown, None, {}, None)
    if not is_identifiable(pages, min_links=min_links):
        return plain
    found: dict[str, ClickModel] = {}
    if wanted in ("auto", "position"):
        known = fit_propensities(pages)
        found["position"] = ClickModel("position", True, known.values, known.errors, None, {}, None)
    if wanted in ("auto", "cascade"):
        model = fit_cascade(pages)
        chances = (model.after_click, model.after_skip)
        looks = expected_looks(pages, chances, model.relevance)
        mean = pages.per_rank(looks) / np.maximum(pages.per_rank(pages.shown), 1.0)
        found["cascade"] = ClickModel(
            "cascade", True, mean, unknown, chances, {}, None, model.relevance
        )
    if not found:
        return replace(plain, identifiable=True)
    likely = {name: log_likelihood(pages, model.looks(pages)) for name, model in found.items()}
    best = found[max(likely, key=lambda name: likely[name])]
    fit = goodness_of_fit(
        pages, best.looks(pages), significance=significance, max_misfit=max_misfit
    )
    return replace(best, log_likelihoods=likely, fit=fit)
