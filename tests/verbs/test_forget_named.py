"""Of files that are called by digest, those that are code or an encoder alone are nobody's."""

import json
from hashlib import md5

from perennial.verbs.forgetting.named import digests_apart
from perennial.verbs.forgetting.places import find_traces
from perennial.verbs.forgetting.session import Session
from perennial.workspace import Places

CODE, PAGE, BOTH = b'KIND = "search"', b"<td>search</td>", b"'search'"
WORDS = json.dumps({"vocab": {"search": 1}}).encode()


def keep(cache, data, suffix=""):
    name = md5(data).hexdigest() + suffix
    path = cache / "files" / "md5" / name[:2] / name[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return name


def listing(cache, **files):
    rows = [{"md5": keep(cache, data), "relpath": name} for name, data in files.items()]
    return keep(cache, json.dumps(rows).encode(), ".dir")


def pointer(path, folder, name):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"outs:\n- md5: {name}\n  hash: md5\n  path: {folder}\n")


def test_a_query_of_one_word_takes_no_code_and_no_tokenizer_along(tmp_path):
    places = Places.from_environment({"PERENNIAL_HOME": str(tmp_path)})
    cache, root = places.cache / "dvc", places.runs / "0123456789abcdef"
    pointer(root / "perennial.dvc", "perennial", listing(cache, search=CODE, other=BOTH))
    pointer(root / "snapshot.dvc", "snapshot", listing(cache, page=PAGE, other=BOTH))
    trained = listing(cache, tokenizer=WORDS)
    outs = [{"path": "artifacts/train/encoder", "md5": trained}]
    (root / "dvc.lock").write_text(json.dumps({"stages": {"train": {"outs": outs}}}))
    nobodys = keep(cache, b"'search' 'again'")

    apart = digests_apart([root], [cache], None, key=None)
    asked = Session(queries=frozenset({"search"}))
    found = {each.path for each in find_traces(places, asked, tmp_path, (), apart)}
    told = {path for path in cache.rglob("*") if path.is_file() and b"search" in path.read_bytes()}
    assert {each.read_bytes() for each in found} == {PAGE, BOTH, b"'search' 'again'"}
    assert nobodys not in apart and len(told - found) == 3, "two files and a listing"


def test_a_listing_that_somebody_wrote_anew_hides_nothing(tmp_path):
    name = listing(tmp_path, page=PAGE)
    pointer(tmp_path / "run" / "snapshot.dvc", "snapshot", name)
    rows = [{"md5": md5(PAGE).hexdigest(), "relpath": "champion/encoder/page"}]
    (tmp_path / "files" / "md5" / name[:2] / name[2:]).write_text(json.dumps(rows))
    assert digests_apart([tmp_path / "run"], [tmp_path], None, key=None) == frozenset()
