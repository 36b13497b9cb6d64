"""What the catalogue promises: documents that can be told apart, read, and embedded."""

from expectations.promise import Least, Rule, characters, given, holds, unique


def suite(*, max_text_characters: int, max_null_slice_share: float) -> list[Rule | Least]:
    """The promises of the table catalogue."""
    return [
        Least(1, "document", "export the documents that people should find"),
        given("doc_id", "give every document an id of its own"),
        characters("doc_id", "give every document an id of its own", least=1),
        unique(["doc_id"], "keep one row per document, the newest"),
        given("title", "give every document a title, an empty one if it has none"),
        given("text", "export the text, or leave the document out"),
        holds(
            "text_without_words",
            "text_has_words",
            "text must contain a letter or a digit",
            "leave out documents that are blank or only symbols: nothing can find them",
            about=["text"],
        ),
        characters(
            "text",
            "split the document or leave it out, or raise validate.max_text_characters",
            most=max_text_characters,
        ),
        given("updated_at", "export when the document last changed, in UTC"),
        Rule(
            "slice_missing",
            f"slice may be missing in at most {max_null_slice_share:.0%} of the documents",
            "name their slices, or raise validate.max_null_slice_share",
            ("slice",),
            "slice IS NULL",
            max_share=max_null_slice_share,
        ),
    ]
