"""People of another language in the same script: as the stage validate tells them."""

import numpy as np

from perennial.data.languages import UNKNOWN, language_of
from perennial.quality.drift.queries import Asked, query_signals
from perennial.quality.drift.seasons import WEEK
from perennial.quality.drift.wording import Words, script_of

FIRST = 490_992
HOURS = np.repeat(FIRST + np.arange(2 * WEEK), 30)
ENGLISH = ["how do I return a pair of shoes", "where is the parcel that I ordered", "opening hours"]
GERMAN = ["wie kann ich Schuhe zurückschicken", "wo bleibt das bestellte Paket", "Öffnungszeiten"]
TEXTS = [*ENGLISH, *GERMAN]
LANGUAGES = np.array([language_of(text) for text in TEXTS], dtype=object)


def other_languages(share_now):
    generator = np.random.default_rng(0)
    is_german = (HOURS[-1] - 1 <= HOURS) & (generator.random(len(HOURS)) < share_now)
    vectors = np.eye(len(TEXTS), dtype=np.float32)
    asked = Asked(
        hours=HOURS,
        texts=generator.integers(0, len(ENGLISH), len(HOURS)) + len(ENGLISH) * is_german,
        slices=np.full(len(HOURS), None, dtype=object),
        words=Words(TEXTS),
        scripts=np.array([script_of(text) for text in TEXTS], dtype=object),
        languages=lambda chosen: LANGUAGES[chosen],
        vectors=lambda chosen: vectors[chosen],
        is_common=np.ones(len(HOURS), dtype=bool),
    )
    found = query_signals(
        asked, end=int(HOURS[-1]) + 1, span=2, weeks=4, most=60, pool=500, novel_share=0.05,
        reference=np.arange(0), slices=[], floor=0.05, cloud_floor=0.1, min_queries=50, least=1e-2,
        seed=1,
    )  # fmt: skip
    return {each.key: each for each in found}


def test_languages_are_told_by_letters_and_numbers_tell_none():
    assert LANGUAGES.tolist()[:2] == ["en", "en"] and LANGUAGES.tolist()[3:5] == ["de", "de"]
    assert language_of("") == UNKNOWN


def test_people_of_another_language_are_seen_where_the_script_stays():
    now, quiet = other_languages(0.4), other_languages(0.0)
    signal = now["other languages"]
    assert signal.about == "queries" and signal.p < 1e-4 and signal.effect > 0.2 > signal.floor
    assert now["other scripts"].p == 1
    assert quiet["other languages"].p > 0.01
