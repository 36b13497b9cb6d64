"""What the triplets promise before anything learns from them: negatives that may be negatives."""

from dataclasses import dataclass

from great_expectations.expectations.expectation import Expectation

from expectations.promise import at_most

ORIGINS = ("log", "ann", "random")
SCORE = "{0} IS NULL OR NOT isfinite({0})"


@dataclass(frozen=True)
class Ban:
    """What must not be: rows of triplets, negatives, queries or hubs that `where` finds."""

    name: str
    among: str  # triplets, negatives, queries, or hubs
    where: str
    must: str
    do: str
    about: tuple[str, ...]
    max_share: float = 0.0
    critical: bool = True

    def expectation(self, rows: int) -> Expectation:
        """What Great Expectations judges: of `rows` rows, this many may be so."""
        most = int(self.max_share * rows + 1e-9)
        bound, critical = (most, self.name, self.must, self.do), self.critical
        return at_most(*bound, of=rows, about=self.about, critical=critical)


def suite(*, min_negatives: int, min_share: float, max_hub_share: float) -> list[Ban]:
    """The promises of the triplets."""
    mine = "mine again; if it stays, the miner is wrong"
    known = "NOT IN (SELECT doc_id FROM catalogue)"
    of_query = "SELECT 1 FROM answers AS a WHERE a.query = negatives.query"
    return [
        Ban(
            "query_missing",
            "triplets",
            "query IS NULL OR trim(query) = ''",
            "query must be given",
            mine,
            ("query",),
        ),
        Ban(
            "query_held_out",
            "queries",
            "is_held_out",
            "no query may be held out: the evaluation would test what was learnt",
            "give judge and mine the same section split",
            ("query",),
        ),
        Ban(
            "positive_unknown",
            "triplets",
            f"positive IS NULL OR positive {known}",
            "positive must be in the catalogue",
            "mine on the snapshot's own catalogue",
            ("positive",),
        ),
        Ban(
            "negative_unknown",
            "negatives",
            f"negative IS NULL OR negative {known}",
            "every negative must be in the catalogue",
            "mine on the snapshot's own catalogue",
            ("negative",),
        ),
        Ban(
            "negative_is_positive",
            "negatives",
            f"EXISTS ({of_query} AND a.doc_id = negative)",
            "no negative may be a positive of its query",
            mine,
            ("positive", "negative"),
        ),
        Ban(
            "negative_reads_as_positive",
            "negatives",
            f"EXISTS ({of_query} AND a.words = negatives.words AND a.doc_id <> negative)",
            "no negative may have the same words as a positive of its query",
            "lower the resemblance from which mine takes two texts for one",
            ("positive", "negative"),
        ),
        Ban(
            "negative_twice",
            "negatives",
            "(row, negative) IN (SELECT (row, negative) FROM negatives GROUP BY row, negative"
            " HAVING count(*) > 1)",
            "no negative may stand twice in a triplet",
            mine,
            ("negative",),
        ),
        Ban(
            "origin_unknown",
            "negatives",
            f"origin IS NULL OR origin NOT IN {ORIGINS!r}",
            f"origin must be one of {', '.join(ORIGINS)}",
            mine,
            ("origin",),
        ),
        Ban(
            "positive_score_unusable",
            "triplets",
            SCORE.format("positive_score"),
            "positive_score must be a finite number",
            "look at the teacher: it answers with no number",
            ("positive_score",),
        ),
        Ban(
            "score_unusable",
            "negatives",
            f"({SCORE.format('score')}) AND NOT (score IS NULL AND origin = 'random')",
            "score must be a finite number, or null for a random negative",
            "look at the teacher: it answers with no number",
            ("origin", "score"),
        ),
        Ban(
            "too_few_negatives",
            "triplets",
            f"coalesce(len(negatives), 0) < {min_negatives}",
            f"{min_share:.0%} of the triplets must have {min_negatives} or more negatives",
            "loosen the margins in mine, look at more neighbours, or lower audit.min_negatives",
            ("negatives",),
            max_share=1.0 - min_share,
        ),
        Ban(
            "hub",
            "hubs",
            f"share > {max_hub_share!r}",
            f"no document should be more than {max_hub_share:.1%} of all negatives",
            "read it: a page near everything teaches little; or raise audit.max_hub_share",
            ("negative", "share"),
            critical=False,
        ),
    ]
