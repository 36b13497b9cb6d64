"""A loss by its name."""

from perennial.errors import BadInput
from perennial.model.losses.contrastive import ContrastiveLoss
from perennial.model.losses.distance import Cosine, Distance, Euclidean
from perennial.model.losses.infonce import InfoNCE
from perennial.model.losses.loss import Loss
from perennial.model.losses.mining import BatchAll, BatchHard, Given, Mining, SemiHard
from perennial.model.losses.schedule import Fixed, Schedule, Switch
from perennial.model.losses.supcon import SupervisedContrastive
from perennial.model.losses.triplet import TripletLoss

DISTANCES: dict[str, type[Distance]] = {"cosine": Cosine, "euclidean": Euclidean}
MININGS: dict[str, type[Mining]] = {
    "given": Given,
    "semi-hard": SemiHard,
    "batch-hard": BatchHard,
    "batch-all": BatchAll,
}


def build_loss(
    name: str,
    *,
    distance: str,
    mining: Schedule[str],
    soft_margin: bool,
    margin: Schedule[float],
    temperature: Schedule[float],
    names: int = 0,
    dimension: int = 0,
) -> Loss:
    """triplet (with mining and margin), contrastive (with margin); infonce, supcon and proxy-nca
    (with temperature), the last for documents numbered below `names` and vectors of `dimension`.

    Raises BadInput where the library of the proxies is not installed.
    """
    between = DISTANCES[distance]()
    if name == "triplet":
        return TripletLoss(margin, _minings(mining), between, soft_margin)
    if name == "contrastive":
        return ContrastiveLoss(margin, between)
    if name == "infonce":
        return InfoNCE(temperature, between)
    if name == "supcon":
        return SupervisedContrastive(temperature, between)
    assert name == "proxy-nca"
    try:
        from perennial.model.losses.proxy import ProxyNCA
    except ModuleNotFoundError as error:
        raise BadInput(
            f"{error.name} is not installed, and train.loss proxy-nca needs it; pip install "
            "'perennial[proxy]', or set train.loss to infonce, which has no proxies"
        ) from error
    return ProxyNCA(names=names, dimension=dimension, temperature=temperature, distance=between)


def _minings(names: Schedule[str]) -> Schedule[Mining]:
    if isinstance(names, Switch):
        return Switch(MININGS[names.start](), MININGS[names.end](), names.share)
    return Fixed(MININGS[names.at(0.0)]())
