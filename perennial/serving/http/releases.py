"""What is served, for whoever asks the service."""

from datetime import datetime
from typing import Any

from perennial.serving.loaded import LoadedRelease
from perennial.serving.routing import live_share
from perennial.serving.searcher import Searcher


def told(searcher: Searcher, *, channel: str, now: datetime) -> dict[str, Any]:
    """The channel's releases as they answer now; `live_share` is 0 past the deadline."""
    serving = searcher.serving
    rollout = serving.rollout
    value: dict[str, Any] = {
        "channel": channel,
        "stable": _about(serving.stable),
        "candidate": None,
        "problem": searcher.problem,
    }
    if rollout is not None:
        loaded = serving.candidate
        value["candidate"] = {
            "release_id": rollout.release_id,
            **({} if loaded is None else _about(loaded)),
            "is_loaded": loaded is not None,
            "stage": rollout.stage,
            "share": rollout.share,
            "live_share": live_share(rollout, now) if loaded is not None else 0.0,
            "deadline": rollout.deadline,
        }
    return value


def _about(release: LoadedRelease) -> dict[str, Any]:
    manifest = release.manifest
    return {
        "release_id": release.release_id,
        "lineage": manifest.lineage,
        "created_at": manifest.created_at,
        "watermark": manifest.catalogue.watermark,
        "documents": release.index.live,
        "waiting": release.index.findable - release.index.live,  # for their vectors
    }
