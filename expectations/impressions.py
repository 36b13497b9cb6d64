"""What the impressions promise: whole pages of known documents, shown for known requests."""

from expectations.promise import Least, Rule, given, holds, unique, within


def suite() -> list[Rule | Least]:
    """The promises of the table impressions, row by row."""
    return [
        Least(
            1,
            "impression",
            "log the documents that each request showed, not only the clicked ones",
            needs=["requests"],
        ),
        given("request_id", "log the request that showed the document"),
        given("doc_id", "log which document was shown"),
        holds(
            "request_unknown",
            "request_is_known",
            "request_id must be in the table requests",
            "export both tables over the same span of time",
            about=["request_id"],
            needs=["requests.request_id"],
        ),
        holds(
            "document_unknown",
            "document_is_known",
            "doc_id must be in the catalogue",
            "export the missing documents, or leave the impressions of deleted ones out",
            about=["doc_id"],
            needs=["catalogue.doc_id"],
        ),
        unique(["request_id", "doc_id"], "show a document once per request, at its best rank"),
        given("rank", "log the place at which the document was shown, from 1"),
        within("rank", "rank must be 1 or more", "count ranks from 1, not from 0", low=1),
        holds(
            "score_no_number",
            "score_is_finite",
            "score must be a finite number",
            "log what ranked the document, and find out why the search scored anything else",
            about=["score"],
        ),
        given("release_id", "log which release answered"),
        holds(
            "propensity_no_chance",
            "propensity_is_a_chance",
            "propensity must be above 0 and at most 1 where it is given",
            "log the chance with which this order was drawn, or nothing",
            about=["propensity"],
        ),
    ]


def page_suite() -> list[Rule]:
    """The promises of one request's impressions taken together."""
    return [
        holds(
            "ranks_with_gaps",
            "ranks_are_contiguous",
            "the ranks of a request must run 1, 2, 3 … without a gap or a tie",
            "log every document of the page once, in the order that people saw",
            about=["request_id", "rank"],
        ),
    ]
