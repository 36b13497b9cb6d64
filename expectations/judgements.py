"""What the judgements promise: one grade per query and document, and a split without a leak."""

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation

from expectations.promise import Rule, characters, given, holds, one_of, promise, unique
from perennial.data.schema import GRADES


def suite(*, max_query_characters: int) -> list[Rule]:
    """The promises of the table judgements; it may be empty, and the gate is then inconclusive."""
    return [
        given("query", "name the query, or drop the judgement"),
        holds(
            "query_without_words",
            "query_has_words",
            "query must contain a letter or a digit",
            "drop judgements of queries that ask nothing",
            about=["query"],
        ),
        characters(
            "query",
            "drop texts pasted by mistake, or raise validate.max_query_characters",
            most=max_query_characters,
        ),
        given("doc_id", "name the judged document, or drop the judgement"),
        holds(
            "document_unknown",
            "document_is_known",
            "doc_id must be in the catalogue",
            "export the missing documents, or drop the judgements of deleted ones",
            about=["doc_id"],
            needs=["catalogue.doc_id"],
        ),
        given("grade", "grade it, or drop the judgement"),
        one_of("grade", GRADES, "map your grades to these, 0 for irrelevant"),
        unique(["query", "doc_id"], "settle on one grade per query and document"),
    ]


def split_suite() -> list[Expectation]:
    """The promise of all queries, logged and judged: none is both learnt from and tested on."""
    return [
        promise(
            gxe.ExpectColumnValuesToBeInSet,
            "queries that ask the same must fall on one side of the split, train or held-out",
            "write them in one Unicode form (NFKC) in the source",
            about=["query"],
            needs=["requests.query"],
            column="falls_on_one_side",
            value_set=[True],
        ),
    ]
