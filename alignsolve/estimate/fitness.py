"""Fitness from what clients report: the loss on the experts they trained, or their router's opinion of all experts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.report import Report
from alignsolve.estimate.signal import Purpose, Signal, check_purpose, check_signal, shown
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
    s = exp(−alpha·l) there, or its accuracy; Q ← (1 − beta)·Q + beta·s. Pairs that were not tried, or to which no
    example was routed, keep their Q.

    Parameters
    ----------
    alpha
        How fast Q falls with loss, above 0.
    beta
        Weight of the newest round, above 0 and at most 1.
    signal
        "loss" or "accuracy".
    prior
        Q of a pair never tried, between 0 and 1. The paper names none. 1 is optimistic: every pair is tried before
        one that disappointed is tried again; 0 is its opposite: whatever was tried first keeps its client.
    purpose
        "specialise": fitness is Q, clients train the experts that they do well with, as in the paper. "repair": it is
        1 − Q, they train those that serve them badly; then a prior of 0 is the optimistic one.
    """

    alpha: float = 1.0
    beta: float = 0.3
    signal: Signal = "loss"
    prior: float = 1.0
    purpose: Purpose = "specialise"

    def __post_init__(self) -> None:
        """Check the parameters."""
        check_signal(self.signal, self.alpha)
        check_purpose(self.purpose)
        checks.weight("beta", self.beta)
        checks.between("prior", self.prior, 0, 1)

    def init(self, num_clients: int, num_experts: int) -> PairFitness:
        """Every pair at the prior."""
        prior = float(self.prior)  # an integer would make whole numbers of all that is learned
        return PairFitness(np.full((num_clients, num_experts), prior), prior)

    def update(self, state: PairFitness, reports: Sequence[Report]) -> PairFitness:
        """Move the pairs that were tried towards what they showed."""
        i, j, value = shown(reports, self.signal, self.alpha)
        known = state.value.copy()
        known[i, j] = (1 - self.beta) * known[i, j] + self.beta * value
        return replace(state, value=known)

    def fitness(self, state: PairFitness, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Q of the cohort's pairs, or 1 − Q; between 0 and 1."""
        known = state.value[cohort]
        return known if self.purpose == "specialise" else 1.0 - known


@dataclass(frozen=True)
class RouterFitness:
    """What the client's own router says: its mean probability of each expert, over all experts, held or not.

    The best fitness of our own pre-study wherever clients have visible concepts. It needs no exploration, since the
    router judges experts that the client never held. The moving average starts with a client's first report. A client
    that never reported, or whose router is indifferent, has the same fitness for all experts.

    Parameters
    ----------
    beta
        Weight of the newest round, above 0 and at most 1.
    scaling
        "range": a client's fitness is scaled to 0..1, so that decided routers do not outvote undecided ones. "none":
        the masses as they are, so that they do.
    purpose
        "specialise": clients train the experts that their router prefers. "repair": those that it avoids.
    """

    beta: float = 0.3
    scaling: Literal["range", "none"] = "range"
    purpose: Purpose = "specialise"

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.weight("beta", self.beta)
        checks.choice("scaling", self.scaling, ("range", "none"))
        check_purpose(self.purpose)

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
        return replace(state, value=average_masses(state.value, reports, self.beta, type(self).__name__))

    def fitness(self, state: PairFitness, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Router masses of the cohort's pairs, not negative; 0.5, or 1/num_experts without scaling, where unknown."""
        mass = state.value[cohort]
        if self.purpose == "repair":
            mass = mass.max(axis=1, keepdims=True) - mass
        if self.scaling == "range":
            return scaled_to_range(mass)
        mass[np.isnan(mass[:, 0])] = 1.0 / mass.shape[1]
        return mass


def average_masses(known: FloatArray, reports: Sequence[Report], beta: float, asked_by: str) -> FloatArray:
    """Moving average of the clients' router masses after a round; it starts with a client's first report.

    Parameters
    ----------
    known
        (num_clients, num_experts) before the round, NaN for clients that never reported; not changed.
    reports
        Those completed count.
    beta
        Weight of the newest round.
    asked_by
        Who needs the masses, for the error.

    Raises
    ------
    ValueError
        If a completed report has no ``router_mass``, or one of another length than num_experts.
    """
    clients, newest = _router_masses(reports, known.shape[1], asked_by)
    averaged, before = known.copy(), known[clients]
    averaged[clients] = np.where(np.isnan(before), newest, (1 - beta) * before + beta * newest)
    return averaged


def _router_masses(reports: Sequence[Report], num_experts: int, asked_by: str) -> tuple[IntArray, FloatArray]:
    """Clients (k,) and router masses (k, num_experts) of the completed reports."""
    done = [report for report in reports if report.completed]
    for report in done:
        given = None if report.router_mass is None else report.router_mass.shape
        if given != (num_experts,):
            raise ValueError(
                f"report of client {report.client}: {asked_by} needs router_mass of shape {(num_experts,)}, not {given}"
            )
    clients = np.array([report.client for report in done], dtype=np.int64)
    return clients, np.array([report.router_mass for report in done], dtype=np.float64).reshape(-1, num_experts)


def scaled_to_range(values: FloatArray) -> FloatArray:
    """Scale each row to 0..1; a row without differences, or of NaN, becomes 0.5 everywhere."""
    low, high = values.min(axis=1), values.max(axis=1)
    decided = high > low
    scaled: FloatArray = values - low[:, None]
    scaled /= np.where(decided, high - low, 1.0)[:, None]
    scaled[~decided] = 0.5
    return scaled
