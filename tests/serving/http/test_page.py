"""The page at `/` in a real browser: both releases beside each other, and nothing of it logged."""

import pytest
from browser import chromium
from service_process import service, terminate

from perennial.data.sources.days import part_files

pytestmark = pytest.mark.slow


def test_a_person_sees_champion_and_candidate_side_by_side(store, roll_out, newer, tmp_path):
    roll_out(newer, share=0.25, deadline="2999-01-01T00:00:00Z")
    said = []
    with service(tmp_path) as (process, port), chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda line: said.append(line.text))
        page.goto(f"http://127.0.0.1:{port}/")
        page.fill("#query", "word7")
        page.press("#query", "Enter")
        page.wait_for_selector("#candidate li")
        names = {
            arm: page.locator(f"#{arm} .id").all_inner_texts() for arm in ("stable", "candidate")
        }
        assert len(names["stable"]) == len(names["candidate"]) == 10
        assert names["stable"][0].startswith("first-7 ·")
        assert names["candidate"][0].startswith("retrained-7 ·")
        assert store.read_channel("production").stable in page.inner_text("#stable-about")
        assert "25 % of sessions" in page.inner_text("#candidate-about")
        assert page.locator("#stable li.new").count() == 10
        page.fill("#query", " ")
        page.press("#query", "Enter")
        page.wait_for_selector("#problem:visible")
        assert "empty" in page.inner_text("#problem")
        terminate(process)
    # The browser itself tells of the refused query, and of a picture for its tab.
    assert [each for each in said if "422" not in each and "404" not in each] == []
    assert part_files(tmp_path / "source" / "requests") == []
