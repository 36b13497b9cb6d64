"""Which drift a retrain has answered already, so that the same evidence asks for no second one."""

import math
from datetime import datetime, timedelta

from perennial.params.whole import Params
from perennial.quality.drift.champion import LASTING, OF_A_WEEK
from perennial.quality.drift.seasons import WEEK
from perennial.release.manifests.canonical import parse_utc
from perennial.release.watched import Watched


def quiet_now(
    watched: Watched,
    accepted_end: str | None,
    lineage: str,
    params: Params,
    *,
    now: datetime,
) -> dict[str, float]:
    """Up to which effect each signal is answered: a retrain was asked for and has its time, while
    other signals of that drift come late; or one took a log with it, whatever its gate said.

    Some weeks later the weeks before an hour have that drift, too. What lasts as long as the
    champion is answered for as long as the `lineage` serves that was asked about; what looks at a
    week has nothing to say before one has passed. What a wrong clock asked for in the future
    answers nothing.
    """
    asked, section = watched.asked, params.watch
    if asked is None:
        return {}
    age = now - parse_utc(asked.at)
    if age < timedelta(0):
        return {}
    if age < timedelta(hours=section.again_hours):
        known = {
            name: max(each.get(name, 0.0) for each in (asked.effects, asked.latecomers))
            for name in (*asked.effects, *asked.latecomers)
        }
        return known | dict.fromkeys(OF_A_WEEK, math.inf)
    if accepted_end is None or parse_utc(accepted_end) < parse_utc(asked.log_end):
        return {}
    lasts = asked.lineage in ("", lineage)  # older records name none
    quiet = {
        name: effect
        for name, effect in asked.effects.items()
        if (lasts if name in LASTING else age <= timedelta(weeks=section.weeks))
    }
    if age < timedelta(hours=WEEK):  # its week began before the retrain
        quiet |= dict.fromkeys(OF_A_WEEK, math.inf)
    return quiet
