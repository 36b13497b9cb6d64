"""What a searcher serves at one moment: the stable release and, during a rollout, its candidate."""

from dataclasses import dataclass

from perennial.release.channels.channel import Candidate
from perennial.serving.loaded import LoadedRelease
from perennial.serving.routing import Arm


@dataclass(frozen=True)
class Serving:
    """What answers now, in one object: nobody sees half of a move.

    `rollout` is what the channel says of its candidate, also where that could not be loaded.
    """

    stable: LoadedRelease
    candidate: LoadedRelease | None = None
    rollout: Candidate | None = None

    def of(self, arm: Arm) -> LoadedRelease:
        """The arm's release; stable where there is no candidate."""
        if arm == "candidate" and self.candidate is not None:
            return self.candidate
        return self.stable
