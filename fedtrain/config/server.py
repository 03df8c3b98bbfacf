"""The sections ``validation`` and ``aggregation``, which updates are merged and how; and ``attack``, to test them."""

import math
from dataclasses import dataclass

from fedtrain.config.checks import at_least, check_fields, checked, one_of, positive, share

RULES = ("mean", "median", "trimmed-mean", "multi-krum")
ATTACKS = ("none", "same-value", "sign-flip", "gaussian", "nans", "replay", "forged-replay")


@dataclass(frozen=True)
class ValidationConfig:
    """Limits beyond which an update is quarantined; see :mod:`fedtrain.server.inspection`.

    Attributes
    ----------
    norm_limit
        How far an update's parts may be from the model that was sent out, as a multiple of the reference; ``inf``: no
        limit.
    norm_reference
        ``median``: of the round's updates, the shared parts and the experts each among themselves; ``absolute``: 1.
    """

    norm_limit: float = checked(math.inf, lambda limit: limit > 0.0, "above 0 (inf: no limit)")
    norm_reference: str = one_of("median", ("median", "absolute"))

    def __post_init__(self) -> None:
        check_fields(self, "validation.")


@dataclass(frozen=True)
class AggregationConfig:
    """How updates become the new model; see :mod:`fedtrain.aggregate`.

    Attributes
    ----------
    rule
        ``mean``, ``median`` (by coordinate), ``trimmed-mean`` or ``multi-krum``.
    bad_share
        Share of an expert's holders that ``trimmed-mean`` and ``multi-krum`` are to bear, below a half.
    weights
        ``examples``: by how many examples trained a tensor, as each client says and up to as many as it is known to
        have; ``equal``: every holder the same, so that a share of bad clients is the same share of the weight.
    min_holders
        An expert that fewer clients return keeps its value. No rule can tell who is right among one or two.
    """

    rule: str = one_of("mean", RULES)
    bad_share: float = checked(0.3, lambda share: 0.0 <= share < 0.5, "at least 0 and below 0.5")
    weights: str = one_of("examples", ("examples", "equal"))
    min_holders: int = at_least(1, 1)

    def __post_init__(self) -> None:
        check_fields(self, "aggregation.")


@dataclass(frozen=True)
class AttackConfig:
    """Clients that mean harm; see :mod:`fedtrain.simulation.attacks`.

    Attributes
    ----------
    kind
        What they do; ``none``: nobody does.
    share
        Share of all clients that do it. A larger share holds all clients of a smaller one.
    scale
        How strongly, where that has a meaning.
    """

    kind: str = one_of("none", ATTACKS)
    share: float = share(0.3)
    scale: float = positive(1.0)

    def __post_init__(self) -> None:
        check_fields(self, "attack.")
