"""The plots of the canary's benchmark: who has raised a false alarm by when, who stopped a loss."""

from collections.abc import Mapping

import numpy as np

from perennial.report.svg import COLOURS, drawing, to_svg

_COLOUR = {
    "rollout": COLOURS["candidate"],
    "loss, all of alpha": COLOURS["champion"],
    "advance at the margin": COLOURS["muted"],
    "z-test, peeked at": COLOURS["loss"],
}


def alarms_over_sessions(alarms: Mapping[str, np.ndarray], sessions: int) -> str:
    """The share of rollouts of an equal candidate with an alarm so far, logarithmic in sessions."""
    at = np.unique(np.geomspace(100, sessions, 200).astype(int))
    with drawing(height=3.4) as (figure, (axis,)):
        for name, first in alarms.items():
            axis.plot(at, [(first <= n).mean() for n in at], color=_COLOUR[name], label=name)
        axis.axhline(0.05, color=COLOURS["muted"], linewidth=0.8, linestyle="--")
        axis.set_xscale("log")
        axis.set_xlabel("sessions, looked at after each (simulated)")
        axis.set_ylabel("share with a wrong decision")
        axis.legend(loc="upper left")
        return to_svg(figure, name="alarms", label="Wrong decisions so far, per test")


def stops_over_sessions(stops: Mapping[float, np.ndarray]) -> str:
    """The share of rollouts that have stopped a loss of 10 % by then, per share of the traffic."""
    with drawing(height=3.2) as (figure, (axis,)):
        for (share, first), colour in zip(stops.items(), ("candidate", "champion"), strict=True):
            found = np.sort(first[np.isfinite(first)])
            axis.plot(
                found,
                np.arange(1, len(found) + 1) / len(first),
                color=COLOURS[colour],
                label=f"{share:.0%} of sessions",
            )
        axis.set_xlabel("sessions on both arms (simulated)")
        axis.set_ylabel("share stopped")
        axis.legend(loc="lower right")
        return to_svg(figure, name="stops", label="When a loss of ten percent was stopped")
