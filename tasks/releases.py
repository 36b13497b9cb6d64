"""The two releases that a retrain compares, in memory."""

from perennial.serving.loaded import LoadedRelease, load_release
from perennial.workspace import signing_key
from tasks.run import Run


def candidate_id(run: Run) -> str:
    """The release that register published."""
    return str(run.read("work/register/candidate.json")["release_id"])


def both_releases(run: Run) -> tuple[LoadedRelease, LoadedRelease]:
    """The snapshot's champion and this run's candidate, from the store and verified."""
    cache, key = run.places.cache, signing_key()
    champion = load_release(run.store, run.champion_id, cache, key=key)
    return champion, load_release(run.store, candidate_id(run), cache, key=key)
