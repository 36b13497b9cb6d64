"""What packages write anew at each import is the same every time."""

from perennial.data.sources.settled import settled


def test_what_an_example_printed_is_dropped_and_its_code_kept() -> None:
    printed = "array([1.2,\n       0.3])  # may vary"
    page = f"Draw.\n\n>>> x = draw(\n...     3)\n>>> x\n{printed}\n\nNotes\n-----"
    assert settled(page) == "Draw.\n\n>>> x = draw(\n...     3)\n>>> x\n\nNotes\n-----"


def test_printed_sets_are_sorted_and_addresses_dropped() -> None:
    assert settled("Use of {'b', 'a', 'c'} at 0x7f00deadbeef.") == "Use of {'a', 'b', 'c'} at 0x0."
    assert settled("A mask 0xff and a dict {'b': 1, 'a': 2}.") == (
        "A mask 0xff and a dict {'b': 1, 'a': 2}."
    )


def test_a_page_without_examples_stays_as_it_is() -> None:
    page = "Sum.\n\n    indented text\n\nParameters\n----------\nx : array"
    assert settled(page) == page
