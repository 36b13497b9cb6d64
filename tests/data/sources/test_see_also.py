"""See Also sections as people write them, each with what it must give."""

import pytest

from perennial.data.sources.apidocs import split_see_also

BEFORE = "Sum of elements.\n\nParameters\n----------\na : array\n    What to add up.\n"
AFTER = "Notes\n-----\nThe sum of an empty array is zero.\n"

SECTIONS = {
    "a name and its description": (
        "mean : Average of the elements.\n",
        [("mean", "Average of the elements.")],
    ),
    "no room before the colon": (
        "minimize: Interface to minimization algorithms\n    for functions.\n",
        [("minimize", "Interface to minimization algorithms for functions.")],
    ),
    "a description over several lines": (
        "poly : Find the coefficients of a polynomial with a given sequence\n"
        "       of roots.\npolyval : Compute polynomial values.\n",
        [
            ("poly", "Find the coefficients of a polynomial with a given sequence of roots."),
            ("polyval", "Compute polynomial values."),
        ],
    ),
    "a description below the colon": (
        "griddata :\n    Interpolate unstructured data.\n",
        [("griddata", "Interpolate unstructured data.")],
    ),
    "a description below a bare name": (
        "ndarray.tobytes\n    Inverse of this operation.\nload\n",
        [("ndarray.tobytes", "Inverse of this operation.")],
    ),
    "several names with one description": (
        "brenth, ridder, bisect : 1-D root-finding\n",
        [(name, "1-D root-finding") for name in ("brenth", "ridder", "bisect")],
    ),
    "several names without one": ("dtype, result_type\nload, save\n", []),
    "a name without one between two with one": (
        "numpy.copy : Copies the array.\nnumpy.copyto\nstack : Joins arrays.\n",
        [("numpy.copy", "Copies the array."), ("stack", "Joins arrays.")],
    ),
    "roles": (
        ":func:`quad` : Adaptive quadrature.\n:meth:`~ShortTimeFFT.stft`: A transform.\n"
        ":py:class:`Rotation`, :func:`dct` : Turn things.\n`plain` : In backticks.\n",
        [
            ("quad", "Adaptive quadrature."),
            ("ShortTimeFFT.stft", "A transform."),
            ("Rotation", "Turn things."),
            ("dct", "Turn things."),
            ("plain", "In backticks."),
        ],
    ),
    "parentheses, and matplotlib's leading dot": (
        "fill() : Fill a region.\n.Axes.violin : Draw a violin.\n",
        [("fill", "Fill a region."), ("Axes.violin", "Draw a violin.")],
    ),
    "entries apart from each other": (
        "one : The first of them.\n\ntwo : The second of them.\n",
        [("one", "The first of them."), ("two", "The second of them.")],
    ),
    "a sentence that is no entry": ("Look at the user guide for more of it.\n", []),
    "nothing": ("", []),
}


@pytest.mark.parametrize("case", SECTIONS)
def test_entries_are_read_as_people_write_them(case: str) -> None:
    section, wanted = SECTIONS[case]
    text, entries = split_see_also(f"{BEFORE}\nSee Also\n--------\n{section}\n{AFTER}")
    assert entries == wanted
    assert text == f"{BEFORE}\n{AFTER}"


@pytest.mark.parametrize("case", SECTIONS)
def test_a_section_at_the_end_is_read_to_the_end(case: str) -> None:
    section, wanted = SECTIONS[case]
    text, entries = split_see_also(f"{BEFORE}\nSee Also\n--------\n{section}")
    assert entries == wanted
    assert text.strip() == BEFORE.strip()


@pytest.mark.parametrize(
    "header",
    ["See Also\n--------", "See also\n--------", "See Also\n________", "  See Also:\n  ---------"],
)
def test_every_spelling_of_the_header_is_known(header: str) -> None:
    text, entries = split_see_also(f"{BEFORE}\n{header}\nmean : Average of it.\n\n{AFTER}")
    assert entries == [("mean", "Average of it.")]
    assert "see also" not in text.lower() and "Average" not in text
    assert text.startswith(BEFORE) and text.endswith(AFTER)


def test_a_block_with_a_colon_and_no_line_below_is_dropped() -> None:
    text, entries = split_see_also(
        "Events.\n\nSee Also:\n    - :class:`Event`: One.\n    - more\n\nReturns:\n    all\n"
    )
    assert entries == []
    assert text == "Events.\n\nReturns:\n    all\n"


def test_two_sections_are_both_taken_out() -> None:
    section = "See Also\n--------\nmean : Average of it.\n"
    text, entries = split_see_also(f"{BEFORE}\n{section}\n{AFTER}\n{section}")
    assert entries == [("mean", "Average of it.")] * 2
    assert "Average" not in text and AFTER.strip() in text


def test_a_text_without_a_section_stays_as_it_is() -> None:
    text = f"{BEFORE}\nSee also the gallery, where this is drawn.\n\n{AFTER}"
    assert split_see_also(text) == (text, [])
