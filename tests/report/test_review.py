"""The candidate's page and description: all that it takes to decide, and nothing that can run."""

import re

import pytest

from perennial.report.review import render_review, review_plots
from perennial.report.review_text import MOST, describe, plain
from perennial.report.review_view import Document, Pair, Unjudged, approval_of

from .test_page import Reader

HOSTILE = '"><script>document.title="hacked"</script><img src=x onerror=alert(1)>${7*7}{{7*7}}'


@pytest.fixture(scope="module")
def page(make_review) -> str:
    return render_review(make_review())


def test_the_page_has_all_that_it_takes_to_decide(page, make_review):
    text, view = Reader(page).text, make_review()
    for pair in view.pairs:
        assert pair.query in text
        for document in (*pair.before, *pair.after):
            assert document.title in text and document.excerpt in text
    for said in (
        "Gained most",
        "Lost most",
        "Ordinary queries",
        "Not judged yet",
        "sum over an axis",
        "By slice",
        "Loss curve",
        "The snapshot kept every promise",
        "Every check of the gate",
        "Snapshot digest",
        "Git commit",
        "simulated",
    ):
        assert said in text, said
    assert view.token in text
    assert view.token == "rel-5f4e3d2c1b0a@0123456789ab"
    assert "Grace" in text, "what people said of earlier candidates"


def test_the_page_loads_nothing_and_runs_one_script_that_its_policy_names(page):
    reader = Reader(page)
    assert "://" not in page
    assert reader.tags.count("script") == 1
    assert not {"link", "img", "iframe", "object"} & set(reader.tags)
    assert all(not name.startswith("on") for name, _ in reader.attributes)
    (policy,) = [value for _, value in reader.attributes if value.startswith("default-src")]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.split("style-src")[0]


def test_whatever_stands_in_the_data_is_text(make_review):
    document = Document(HOSTILE, HOSTILE, HOSTILE, None)
    pair = Pair(HOSTILE, HOSTILE, "gained", "won", 0.0, 1.0, [document], [document])
    hostile = make_review(pairs=[pair], unjudged=[Unjudged(HOSTILE, [document])])
    reader = Reader(render_review(hostile))
    assert reader.tags.count("script") == 1 and "img" not in reader.tags
    assert reader.text.count(HOSTILE) > 6
    assert ("data-query", HOSTILE) in reader.attributes
    assert ("data-doc", HOSTILE) in reader.attributes


def test_a_candidate_that_was_not_published_cannot_be_approved_but_can_be_marked(make_review):
    page = render_review(make_review(release=None))
    assert "To approve" not in page and "nothing to approve" in page
    assert "Download marks" in page


def test_unjudged_documents_are_listed_once_by_title_so_that_the_side_is_not_told(make_review):
    pair = make_review().pairs[0]
    titles = [document.title for document in pair.unjudged]
    assert titles == sorted(set(titles)) and len(titles) > 1
    assert "numpy.linalg.pinv" not in titles, "that one is judged"


def test_a_page_without_labels_slices_or_pairs_says_so(make_review):
    report = make_review().report
    comparison = {**report.comparison, "slices": {}}
    bare = make_review(pairs=(), unjudged=(), earlier=())
    bare = type(bare)(**{**vars(bare), "report": replace_comparison(report, comparison)})
    text = Reader(render_review(bare)).text
    assert "No query was answered by both" in text
    assert "By slice" not in text and "slices" not in review_plots(bare)
    assert not re.search(r"\b(nan|NaN|None|inf)\b", text)


def replace_comparison(report, comparison):
    from dataclasses import replace

    return replace(report, comparison=comparison)


def test_the_same_review_is_the_same_bytes(make_review):
    assert render_review(make_review()) == render_review(make_review())


def test_an_approval_names_the_release_and_the_table():
    assert approval_of("rel-0", "sha256:" + "ab" * 32) == "rel-0@" + "ab" * 6


def test_the_description_says_what_it_is_and_how_to_answer(make_review):
    view = make_review()
    text = describe(view)
    assert text.startswith("# Promote")
    for said in (view.token, "`reviewer`", "`rejected`", "The gate's table", "Origin", "| Slice |"):
        assert said in text, said
    assert "To approve" not in describe(make_review(release=None))


def test_the_description_fits_the_registry_however_much_there_is_to_say(make_review):
    report = make_review().report
    slices = report.comparison["slices"]
    (some,) = [next(iter(slices.values()))]
    many = {f"slice {i} " + "x" * 60: some for i in range(200)}
    view = make_review(report=replace_comparison(report, {**report.comparison, "slices": many}))
    text = describe(view)
    assert len(text) <= MOST
    assert "the rest is in" in text and view.token in text


def test_markdown_shows_a_text_as_it_is():
    assert plain("a *b* <img> | `c`\n# d") == r"a \*b\* \<img\> \| \`c\` \# d"
