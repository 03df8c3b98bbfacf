"""The sections ``validation`` and ``aggregation`` (which updates are merged, and how), ``channel`` and ``attack``."""

import math
from dataclasses import dataclass

from fedtrain.config.checks import at_least, check_fields, checked, one_of, positive, share

RULES = (
    *("mean", "median", "trimmed-mean", "multi-krum", "norm-matched"),
    *("distance-filtered", "domain-aware", "learned"),
)
"""Values of ``aggregation.rule``; :mod:`fedtrain.aggregate` has the rules."""
ATTACKS = ("none", "same-value", "sign-flip", "gaussian", "scaled", "nans", "replay", "forged-replay")


@dataclass(frozen=True)
class ValidationConfig:
    """Limits for updates; an update beyond them is quarantined (:mod:`fedtrain.server.inspection`).

    Attributes
    ----------
    norm_limit
        Largest distance of an update's parts from the model that was sent out, as a multiple of the reference;
        ``inf``: no limit.
    norm_reference
        ``median``: the median of the round's updates, separately for the shared parts and for the experts.
        ``absolute``: 1.
    """

    norm_limit: float = checked(
        math.inf, lambda limit: limit > 0.0, "above 0 (inf: no limit)", unit="multiples of the reference"
    )
    norm_reference: str = one_of("median", ("median", "absolute"))

    def __post_init__(self) -> None:
        check_fields(self, "validation.")


@dataclass(frozen=True)
class AggregationConfig:
    """Rule by which updates become the new model; see :mod:`fedtrain.aggregate`.

    Attributes
    ----------
    rule
        ``mean``, ``median`` (by coordinate), ``trimmed-mean`` or ``multi-krum``; ``norm-matched``: the mean after
        scaling to equal norms; ``distance-filtered``: the mean of the nearest half; ``domain-aware``: weights by the
        likeness of the holders' router rows; ``learned``: weights learned on the server's own examples, see
        ``data.held_back``.
    bad_share
        Share of bad clients among an expert's holders that ``trimmed-mean`` and ``multi-krum`` must withstand, below
        one half.
    weights
        ``examples``: weight by the number of examples that trained a tensor, as the client reports it, but at most the
        number that it is known to have. ``equal``: the same weight for every holder, so that a share of bad clients has
        the same share of the weight.
    min_holders
        An expert that fewer clients return keeps its value. With one or two updates no rule can tell which is right.
    neighbours
        For ``domain-aware``: number of other holders that a holder is mixed with.
    temperature
        For ``domain-aware`` and ``learned``: a small one concentrates the weight, a large one spreads it evenly.
    refresh
        For ``domain-aware``: number of rounds after which the router's rows are compared anew.
    evaluations
        For ``learned``: largest number of holders of a part that are tried in a round; 0: all of them.
    """

    rule: str = one_of("mean", RULES)
    bad_share: float = checked(0.3, lambda share: 0.0 <= share < 0.5, "at least 0 and below 0.5", unit="share")
    weights: str = one_of("examples", ("examples", "equal"))
    min_holders: int = at_least(1, 1, unit="clients")
    neighbours: int = at_least(1, 5, unit="clients")
    temperature: float = positive(1.0, unit="factor")
    refresh: int = at_least(1, 5, unit="rounds")
    evaluations: int = at_least(0, 0, unit="holders")

    def __post_init__(self) -> None:
        check_fields(self, "aggregation.")


@dataclass(frozen=True)
class ChannelConfig:
    """Wireless channel on which clients send their updates; see :mod:`fedtrain.simulation.channel`.

    Attributes
    ----------
    fading
        ``none``, or ``rayleigh``: a random gain of each client in each round, whose mean is 1.
    noise
        Standard deviation of the noise in every entry, before it is divided by the root of the power; 0: no noise.
    power
        Power with which clients send.
    alpha
        Index of the noise: 2 is normal; below 2 it is symmetric α-stable, with ``noise``/√2 as its scale.
    """

    fading: str = one_of("none", ("none", "rayleigh"))
    noise: float = checked(0.0, lambda noise: 0.0 <= noise < math.inf, "0 or more, and finite", unit="of a parameter")
    power: float = positive(1.0, unit="factor")
    alpha: float = checked(2.0, lambda alpha: 0.0 < alpha <= 2.0, "above 0 and at most 2", unit="index")

    def __post_init__(self) -> None:
        check_fields(self, "channel.")

    @property
    def clear(self) -> bool:
        """Whether updates arrive as they were sent."""
        return self.fading == "none" and self.noise == 0.0


@dataclass(frozen=True)
class AttackConfig:
    """Malicious clients; see :mod:`fedtrain.simulation.attacks`.

    Attributes
    ----------
    kind
        Kind of attack; ``none``: no client attacks.
    share
        Share of all clients that attack. With the same seed, a larger share includes all attackers of a smaller one.
    scale
        Strength of the attack, for the kinds that have one.
    """

    kind: str = one_of("none", ATTACKS)
    share: float = share(0.3, unit="share")
    scale: float = positive(1.0, unit="factor")

    def __post_init__(self) -> None:
        check_fields(self, "attack.")
