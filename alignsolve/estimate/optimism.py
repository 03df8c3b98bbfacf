"""Fitness with exploration: a pair's mean signal, plus a bonus that shrinks as the pair is tried more often.

Every pair is an arm of a combinatorial semi-bandit: a round pulls all pairs of its alignment and observes each signal.

- "ucb": mean + exploration·√(1.5·ln t / n). This is CUCB (Chen, Wang and Yuan, ICML 2013), based on UCB1 (Auer,
  Cesa-Bianchi and Fischer, 2002). t is the number of rounds, n the number of times that the pair was tried.
- "thompson": a draw from N(mean, exploration²/(4·n)). This is Thompson sampling with Gaussian priors (Agrawal and
  Goyal, AISTATS 2013); 1/4 is the largest variance of a number between 0 and 1.

Signals drift while the model learns, so old rounds count less: n and the sums are discounted (discounted UCB; Garivier
and Moulines, ALT 2011) in each round in which the client reported. The prior counts as one observation, so an untried
pair has a finite fitness.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.report import Report
from alignsolve.estimate.signal import Signal, check_signal, pair_signals
from alignsolve.numerics import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class PairCounts:
    """Discounted counts and sums of the signals of each pair.

    Attributes
    ----------
    tried, total
        (num_clients, num_experts) discounted number of signals, and their discounted sum.
    round
        Number of rounds so far.
    """

    tried: FloatArray
    total: FloatArray
    round: int

    def grow(self, num_clients: int) -> "PairCounts":
        """Return a copy with no trials by the clients that joined."""
        new = np.zeros((num_clients - len(self.tried), self.tried.shape[1]))
        return replace(self, tried=np.concatenate([self.tried, new]), total=np.concatenate([self.total, new]))


@dataclass(frozen=True)
class OptimisticFitness:
    """Fitness by upper confidence bounds or by Thompson sampling.

    Parameters
    ----------
    method
        "ucb" or "thompson".
    exploration
        Weight of the uncertainty, 0 or more; 0 gives the plain mean. The theory asks for 1, which explores a lot.
    discount
        Factor on older signals of a client in each round in which it reports, above 0 and at most 1.
    prior
        Signal that every pair is assumed to have shown once, between 0 and 1.
    signal, alpha
        As in :class:`~alignsolve.LossFitness`.
    """

    method: Literal["ucb", "thompson"] = "ucb"
    exploration: float = 0.3
    discount: float = 0.9
    prior: float = 0.5
    signal: Signal = "loss"
    alpha: float = 1.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.choice("method", self.method, ("ucb", "thompson"))
        checks.amount("exploration", self.exploration)
        checks.weight("discount", self.discount)
        checks.between("prior", self.prior, 0, 1)
        check_signal(self.signal, self.alpha)

    def init(self, num_clients: int, num_experts: int) -> PairCounts:
        """Return the state without trials."""
        return PairCounts(np.zeros((num_clients, num_experts)), np.zeros((num_clients, num_experts)), 0)

    def update(self, state: PairCounts, reports: Sequence[Report]) -> PairCounts:
        """Discount the counts of the clients that completed the round, and add their signals."""
        i, j, value = pair_signals(reports, self.signal, self.alpha)
        tried, total = state.tried.copy(), state.total.copy()
        seen = np.unique(i)
        tried[seen] *= self.discount
        total[seen] *= self.discount
        np.add.at(tried, (i, j), 1.0)  # several clients of a type may report for the same row
        np.add.at(total, (i, j), value)
        return PairCounts(tried, total, state.round + 1)

    def fitness(self, state: PairCounts, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return mean plus bonus, (len(cohort), num_experts).

        Draws below 0 become 0, so that a low draw leaves no capacity unused.
        """
        times = 1.0 + state.tried[cohort]
        mean = (self.prior + state.total[cohort]) / times
        if self.method == "ucb":
            return mean + self.exploration * np.sqrt(1.5 * np.log1p(state.round) / times)
        return np.maximum(mean + 0.5 * self.exploration * rng.standard_normal(mean.shape) / np.sqrt(times), 0.0)
