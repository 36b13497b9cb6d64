"""The review in a real browser: a person marks, and what is downloaded is what we import."""

import json

import pytest
from browser import chromium

from perennial.data.marks import parse_marks
from perennial.report.review import render_review
from perennial.report.review_view import Document, Pair

pytestmark = pytest.mark.slow
HOSTILE = '"><script>document.title="hacked"</script><img src=x onerror=document.title="hacked">'


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """`opened(view)`: the page of a review in a tab of its own, and what the tab asked for."""
    folder = tmp_path_factory.mktemp("review")
    with chromium() as browser:

        def open_page(view, *, width: int = 1200):
            path = folder / f"review-{len(list(folder.iterdir()))}.html"
            path.write_text(render_review(view), encoding="utf-8")
            tab = browser.new_page(viewport={"width": width, "height": 900})
            tab.asked, tab.said = [], []
            tab.on("request", lambda request: tab.asked.append(request.url))
            tab.on("console", lambda message: tab.said.append(message.text))
            tab.on("pageerror", lambda error: tab.said.append(str(error)))
            tab.goto(path.as_uri())
            return tab

        yield open_page


def test_what_a_person_marks_by_mouse_and_keys_is_downloaded_and_can_be_imported(
    opened, make_review
):
    view = make_review()
    tab = opened(view)
    button = tab.locator("#download")
    assert button.is_disabled(), "nothing is marked, and nobody said a name"

    first = tab.locator(".case").nth(0)
    first.get_by_label("Better").check()
    first.locator("summary").click()
    document = first.locator("fieldset[data-doc]").nth(0)
    document.get_by_label("Not relevant").check()
    assert button.is_disabled(), "still nobody said a name"
    tab.locator("#reviewer").fill(" Ada b ")
    assert button.is_enabled()

    tab.locator("h1").click()
    for key in "jjwjsbxjj":  # to the 2nd: worse; to the 3rd: same, better, no mark; to the last
        tab.keyboard.press(key)
    assert tab.locator(".case").nth(3).evaluate("item => item === document.activeElement")
    tab.keyboard.press("b")  # no pair there: nothing to mark
    assert tab.locator("#count").inner_text() == "2 pairs, 1 document"

    tab.reload()  # marks outlive it
    with tab.expect_download() as download:
        tab.locator("#download").click()
    assert download.value.suggested_filename == f"marks-{view.release}.json"
    content = download.value.path().read_bytes()
    marks = parse_marks(content, name="marks.json")
    assert (marks.release, marks.gate, marks.reviewer) == (view.release, view.gate, "Ada b")
    assert [mark.model_dump() for mark in marks.marks.pairs] == [
        {"query": view.pairs[0].query, "candidate": "better"},
        {"query": view.pairs[1].query, "candidate": "worse"},
    ]
    assert [mark.model_dump() for mark in marks.marks.documents] == [
        {
            "query": view.pairs[0].query,
            "doc_id": view.pairs[0].unjudged[0].doc_id,
            "relevant": False,
        }
    ]
    assert json.loads(content)["format_version"] == 1
    assert tab.said == []
    assert {url.split(":")[0] for url in tab.asked} <= {"file", "blob"}


def test_a_mark_can_be_taken_back(opened, make_review):
    tab = opened(make_review(release=None))
    first = tab.locator(".case").nth(0)
    first.get_by_label("Worse").check()
    assert tab.locator("#count").inner_text() == "1 pair, 0 documents"
    first.locator(".clear:visible").click()
    assert tab.locator("#count").inner_text() == "No marks yet"


def test_hostile_data_runs_nothing_and_comes_back_as_it_was(opened, make_review):
    document = Document(HOSTILE, HOSTILE, HOSTILE, None)
    pair = Pair(HOSTILE, HOSTILE, "gained", "won", 0.0, 1.0, [document], [])
    tab = opened(make_review(pairs=[pair]))
    title = tab.title()
    tab.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = 'document.title = "hacked"';
            document.body.append(script);
        }"""
    )
    assert tab.title() == title != "hacked", "the policy lets no other script run"
    assert any("Content Security Policy" in line for line in tab.said)
    tab.locator("#reviewer").fill("Ada")
    tab.locator(".case").nth(0).get_by_label("The same").check()
    with tab.expect_download() as download:
        tab.locator("#download").click()
    marks = parse_marks(download.value.path().read_bytes(), name="marks.json")
    assert marks.marks.pairs[0].query == HOSTILE
    assert len(tab.asked) <= 2


@pytest.mark.parametrize("width", [1200, 390])
def test_nothing_is_cut_off_at_the_side(opened, make_review, width):
    tab = opened(make_review(), width=width)
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
