"""The two releases that a retrain compares, in memory, and the one that serves in the end."""

from perennial.errors import BadInput
from perennial.release.channels.moves import existing_channel, read_kept
from perennial.release.channels.served import served
from perennial.release.forgetting.forgotten import today
from perennial.serving.loaded import LoadedRelease, load_release
from perennial.workspace import signing_key
from tasks.run import Run


def candidate_id(run: Run) -> str:
    """The release that register published."""
    return str(run.read("work/register/candidate.json")["release_id"])


def serving_id(run: Run) -> str | None:
    """The release that the swap made stable: the candidate, or what continues it; None before."""
    path = "work/swap/release.json"
    return str(run.read(path)["serves"]) if (run.workspace.root / path).exists() else None


def both_releases(run: Run) -> tuple[LoadedRelease, LoadedRelease]:
    """The champion and this run's candidate, from the store and verified."""
    ids = _kept_champion(run), today(run.store, candidate_id(run))
    champion, candidate = (
        load_release(
            run.store, each, run.places.cache, key=signing_key(), fuse=run.params.serve.fuse
        )
        for each in ids
    )
    return champion, candidate


def _kept_champion(run: Run) -> str:
    """The snapshot's champion; where a sweep took it, the release that its reindexes made of it."""
    champion, key = today(run.store, run.champion_id), signing_key()
    try:
        return read_kept(run.store, champion, key=key).release_id
    except BadInput:
        channel = existing_channel(run.store, run.channel, key=key)
        if not served(run.store, channel, key=key).is_full(run.champion_lineage):
            raise
        return channel.stable
