"""The signals of two samples of embeddings: MMD, centroid shift and domain classifier."""

from perennial.quality.drift.clouds import Clouds
from perennial.quality.drift.signal import About, Signal

TESTS = {"mmd": "MMD", "centroid": "centroid shift", "classifier": "domain classifier"}


def cloud_signals(
    found: Clouds, *, about: About, hours: int, floor: float, beside: str, slice: str | None = None
) -> list[Signal]:
    """One signal per test. How well a classifier tells the samples apart, 2 AUC - 1, is the effect
    of all three: a distance in a kernel says nothing to anybody."""
    one, many = ("query", "queries") if about == "queries" else ("document", "documents")
    return [
        Signal(
            key=key_of(one, beside=beside, test=test),
            about=about,
            hours=hours,
            effect=2 * found.auc - 1,
            floor=floor,
            p=getattr(found, test),
            n=found.n,
            said=(
                f"a classifier tells the embeddings of {found.n:,} {many} from those of "
                f"{beside} with an AUC of {found.auc:.2f} ({title})"
            ),
            slice=slice,
        )
        for test, title in TESTS.items()
    ]


def key_of(one: str, *, beside: str, test: str) -> str:
    """The key of the signal of a `test` in TESTS on queries or documents, `one` of them."""
    return f"{one} embeddings beside {beside}, {TESTS[test]}"
