"""Fitness from what clients report: the loss on the experts they trained, or their router's opinion of all experts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from alignsolve.estimate.report import Report, completed_pairs
from alignsolve.numerics import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class PairFitness:
    """A running fitness per pair.

    Attributes
    ----------
    value
        (num_clients, num_experts) float64.
    prior
        The fitness of a pair about which nothing is known.
    """

    value: FloatArray
    prior: float

    def grow(self, num_clients: int) -> "PairFitness":
        """Return the same fitness with the prior for clients that joined."""
        new = np.full((num_clients - len(self.value), self.value.shape[1]), self.prior)
        return replace(self, value=np.concatenate([self.value, new]))


@dataclass(frozen=True)
class LossFitness:
    """The exponential moving average of FLEX-MoE (arXiv 2512.23070).

    A client that completed its round with expert e, with mean loss l over the examples routed to e, shows
    s = exp(−alpha·l) there, or its accuracy; the fitness is Q ← (1 − beta)·Q + beta·s. Pairs that were not tried, or
    to which no example was routed, keep their Q.

    Parameters
    ----------
    alpha
        How fast fitness falls with loss, above 0.
    beta
        Weight of the newest round, above 0 and at most 1.
    signal
        "loss" or "accuracy".
    prior
        Q of a pair never tried, between 0 and 1. The paper names none. 1 is optimistic: every pair is tried before
        one that disappointed is tried again; 0 is its opposite: whatever was tried first keeps its client.
    """

    alpha: float = 1.0
    beta: float = 0.3
    signal: Literal["loss", "accuracy"] = "loss"
    prior: float = 1.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not 0 < self.alpha < np.inf:
            raise ValueError(f"alpha is {self.alpha}; it must be above 0 and finite")
        _check_weight(self.beta)
        if self.signal not in ("loss", "accuracy"):
            raise ValueError(f"signal is {self.signal!r}; it must be 'loss' or 'accuracy'")
        if not 0 <= self.prior <= 1:
            raise ValueError(f"prior is {self.prior}; it must lie between 0 and 1")

    def init(self, num_clients: int, num_experts: int) -> PairFitness:
        """Every pair at the prior."""
        return PairFitness(np.full((num_clients, num_experts), self.prior), self.prior)

    def update(self, state: PairFitness, reports: Sequence[Report]) -> PairFitness:
        """Move the pairs that were tried towards what they showed."""
        pairs = completed_pairs(reports)
        tried = pairs.usage > 0
        i, j = pairs.clients[tried], pairs.experts[tried]
        shown = np.exp(-self.alpha * pairs.loss[tried]) if self.signal == "loss" else pairs.accuracy[tried]
        value = state.value.copy()
        value[i, j] = (1 - self.beta) * value[i, j] + self.beta * np.minimum(shown, 1.0)
        return replace(state, value=value)

    def fitness(self, state: PairFitness, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Q of the cohort's pairs, between 0 and 1."""
        return state.value[cohort]


@dataclass(frozen=True)
class RouterFitness:
    """What the client's own router says: its mean probability of each expert, over all experts, held or not.

    Needs no exploration, since the router judges experts that the client never held. The moving average starts with a
    client's first report; a row is scaled to 0..1, so that decided routers do not outvote undecided ones. A client
    that never reported, or whose router is indifferent, has 0.5 everywhere.

    Parameters
    ----------
    beta
        Weight of the newest round, above 0 and at most 1.
    """

    beta: float = 0.3

    def __post_init__(self) -> None:
        """Check the parameters."""
        _check_weight(self.beta)

    def init(self, num_clients: int, num_experts: int) -> PairFitness:
        """Nobody has reported: NaN everywhere."""
        return PairFitness(np.full((num_clients, num_experts), np.nan), np.nan)

    def update(self, state: PairFitness, reports: Sequence[Report]) -> PairFitness:
        """Average the router masses of completed reports.

        Raises
        ------
        ValueError
            If a completed report has no ``router_mass``, or one of another length than num_experts.
        """
        value = state.value.copy()
        for report in reports:
            if not report.completed:
                continue
            if report.router_mass is None or report.router_mass.shape != value.shape[1:]:
                given = None if report.router_mass is None else report.router_mass.shape
                raise ValueError(
                    f"report of client {report.client}: RouterFitness needs router_mass of shape {value.shape[1:]}, "
                    f"not {given}"
                )
            known = value[report.client]
            blended = (1 - self.beta) * known + self.beta * report.router_mass
            value[report.client] = np.where(np.isnan(known), report.router_mass, blended)
        return replace(state, value=value)

    def fitness(self, state: PairFitness, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Router masses of the cohort's pairs, each row scaled to 0..1."""
        mass = state.value[cohort]
        low, high = mass.min(axis=1, keepdims=True), mass.max(axis=1, keepdims=True)
        decided = high > low
        scaled: FloatArray = np.full(mass.shape, 0.5)
        np.divide(mass - low, high - low, out=scaled, where=decided)
        return scaled


def _check_weight(beta: float) -> None:
    if not 0 < beta <= 1:
        raise ValueError(f"beta is {beta}; it must be above 0 and at most 1")
