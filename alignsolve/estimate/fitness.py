"""Fitness from reports: from a client's loss on the experts it trained, or from its router's mass on all experts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.report import Report
from alignsolve.estimate.signal import Purpose, Signal, check_purpose, check_signal, pair_signals
from alignsolve.numerics import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class PairFitness:
    """The fitness of every pair, as learned so far.

    Attributes
    ----------
    value
        (num_clients, num_experts) float64.
    prior
        Fitness of a pair about which nothing is known.
    """

    value: FloatArray
    prior: float

    def grow(self, num_clients: int) -> "PairFitness":
        """Return a copy with the prior for all pairs of the clients that joined."""
        new = np.full((num_clients - len(self.value), self.value.shape[1]), self.prior)
        return replace(self, value=np.concatenate([self.value, new]))

    def with_rows(self, clients: IntArray, rows: FloatArray) -> "PairFitness":
        """Return a copy in which these clients (k,) have other values, (k, num_experts)."""
        value = self.value.copy()
        value[clients] = rows
        return replace(self, value=value)


@dataclass(frozen=True)
class LossFitness:
    """The exponential moving average of FLEX-MoE (arXiv 2512.23070).

    A client that completed a round with expert e, with mean loss l over the examples routed to e, gives the signal
    s = exp(−alpha·l), or its accuracy on these examples. Then Q ← (1 − beta)·Q + beta·s. Pairs that were not tried, or
    to which no example was routed, keep their Q.

    Parameters
    ----------
    alpha
        How fast the signal falls with the loss, above 0.
    beta
        Weight of the newest round, above 0 and at most 1.
    signal
        "loss" or "accuracy".
    prior
        Q of a pair that was never tried, between 0 and 1; the paper gives no value. 1 is optimistic: every pair is
        tried before a pair with a poor result is tried again. 0 is pessimistic: a client keeps the experts that it
        tried first.
    purpose
        "specialise": the fitness is Q, so clients train the experts that serve them well, as in the paper. "repair":
        the fitness is 1 − Q, so clients train the experts that serve them badly; here a prior of 0 is optimistic.
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
        """Return the state before any report: the prior for every pair."""
        prior = float(self.prior)  # an integer would truncate all that is learned
        return PairFitness(np.full((num_clients, num_experts), prior), prior)

    def update(self, state: PairFitness, reports: Sequence[Report]) -> PairFitness:
        """Move the Q of the tried pairs towards their signals."""
        i, j, value = pair_signals(reports, self.signal, self.alpha)
        known = state.value.copy()
        known[i, j] = (1 - self.beta) * known[i, j] + self.beta * value
        return replace(state, value=known)

    def fitness(self, state: PairFitness, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return Q of the cohort, or 1 − Q, (len(cohort), num_experts); between 0 and 1."""
        known = state.value[cohort]
        return known if self.purpose == "specialise" else 1.0 - known


@dataclass(frozen=True)
class RouterFitness:
    """Router mass as fitness: the mean probability that the client's own router gives each expert, held or not.

    In our pre-study it was the best fitness wherever clients have visible concepts. It needs no exploration, because
    the router also rates experts that the client never held. The moving average starts with a client's first report. A
    client that never reported, or whose router rates all experts equally, has the same fitness for all experts.

    Parameters
    ----------
    beta
        Weight of the newest round, above 0 and at most 1.
    scaling
        "range": each client's fitness is scaled to 0..1, so that clients with decided routers do not outweigh clients
        with undecided ones. "none": router masses as reported; decided routers weigh more.
    purpose
        "specialise": clients train the experts that their router prefers. "repair": the experts that it avoids.
    """

    learns_from: ClassVar[frozenset[str]] = frozenset({"router_mass"})
    beta: float = 0.3
    scaling: Literal["range", "none"] = "range"
    purpose: Purpose = "specialise"

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.weight("beta", self.beta)
        checks.choice("scaling", self.scaling, ("range", "none"))
        check_purpose(self.purpose)

    def init(self, num_clients: int, num_experts: int) -> PairFitness:
        """Return the state before any report: NaN everywhere."""
        return PairFitness(np.full((num_clients, num_experts), np.nan), np.nan)

    def update(self, state: PairFitness, reports: Sequence[Report]) -> PairFitness:
        """Update the averages by the router masses of completed reports.

        Raises
        ------
        ValueError
            If a completed report has no ``router_mass``, or one of another length than num_experts.
        """
        return replace(state, value=average_masses(state.value, reports, self.beta, type(self).__name__))

    def probe(self, state: PairFitness, clients: IntArray, masses: FloatArray) -> PairFitness:
        """Replace the averages of these clients (k,) by fresh router masses, (k, num_experts)."""
        return state.with_rows(clients, masses)

    def fitness(self, state: PairFitness, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the router masses of the cohort, (len(cohort), num_experts), not negative.

        Clients without reports have 0.5 everywhere, or 1/num_experts without scaling.
        """
        mass = state.value[cohort]
        if self.purpose == "repair":
            mass = mass.max(axis=1, keepdims=True) - mass
        if self.scaling == "range":
            return scaled_to_range(mass)
        mass[np.isnan(mass[:, 0])] = 1.0 / mass.shape[1]
        return mass


def average_masses(known: FloatArray, reports: Sequence[Report], beta: float, asked_by: str) -> FloatArray:
    """Return the moving averages of router masses after a round; each starts with the client's first report.

    Parameters
    ----------
    known
        (num_clients, num_experts) averages before the round, NaN for clients that never reported; not changed.
    reports
        The round's reports; only completed ones count.
    beta
        Weight of the newest round.
    asked_by
        Name of the calling class, for the error message.

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
    """Return clients (k,) and router masses (k, num_experts) of the completed reports."""
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
    """Scale each row to 0..1; a row of equal values, or of NaN, becomes 0.5 everywhere."""
    low, high = values.min(axis=1), values.max(axis=1)
    decided = high > low
    scaled: FloatArray = values - low[:, None]
    scaled /= np.where(decided, high - low, 1.0)[:, None]
    scaled[~decided] = 0.5
    return scaled
