"""Fitness by matrix completion: pairs that were never tried are predicted from those that were, by a few traits.

Tried pairs keep their moving average Q, as in FLEX-MoE. The other pairs are predicted as

    Q_ij ≈ expert_j + client_i + traits_i · weights_j

with ``rank`` traits per client, fitted to the tried pairs by alternating least squares with a ridge (Hu, Koren and
Volinsky, ICDM 2008, with equal weights; Zhou et al., AAIM 2008). Given the experts' weights, each client's traits solve
a small linear system, and vice versa. The levels of experts and clients are means, shrunk towards the overall mean and
towards 0. The method draws no random numbers: weights start as cosines, and each round starts from the last weights.

Where nothing is known the prediction falls back. A client that was never seen gets the experts' levels. An expert that
was never tried gets the overall mean plus the client's level. Before the first report all pairs have the prior.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.report import Report
from alignsolve.estimate.signal import Purpose, Signal, check_purpose, check_signal, pair_signals
from alignsolve.numerics import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class LowRank:
    """Moving averages of the tried pairs, and the model fitted to them.

    Attributes
    ----------
    value
        (num_clients, num_experts) moving averages; NaN for pairs that were never tried.
    expert_level
        (num_experts,) level of each expert, the overall mean included.
    client_level
        (num_clients,) level of each client, relative to the experts' levels.
    traits, weights
        (num_clients, rank) traits of clients and (num_experts, rank) weights of experts.
    """

    value: FloatArray
    expert_level: FloatArray
    client_level: FloatArray
    traits: FloatArray
    weights: FloatArray

    def grow(self, num_clients: int) -> "LowRank":
        """Return a copy with nothing known of the clients that joined."""
        more = num_clients - len(self.value)
        return replace(
            self,
            value=np.concatenate([self.value, np.full((more, self.value.shape[1]), np.nan)]),
            client_level=np.concatenate([self.client_level, np.zeros(more)]),
            traits=np.concatenate([self.traits, np.zeros((more, self.traits.shape[1]))]),
        )


@dataclass(frozen=True)
class LowRankFitness:
    """Q for tried pairs, and a low-rank prediction for all others.

    Parameters
    ----------
    rank
        Traits per client, 1 or more, and at most the number of experts.
    ridge
        Weight of the squared size of traits and weights, in units of one tried pair; above 0.
    shrink
        Number of tried pairs that the prior of a level counts as, above 0.
    sweeps
        Sweeps of alternating least squares per round, 1 or more.
    prior
        Fitness before the first report, between 0 and 1.
    signal, alpha, beta, purpose
        As in :class:`~alignsolve.LossFitness`.
    """

    rank: int = 3
    ridge: float = 0.5
    shrink: float = 2.0
    sweeps: int = 3
    prior: float = 0.5
    signal: Signal = "loss"
    alpha: float = 1.0
    beta: float = 0.3
    purpose: Purpose = "specialise"

    def __post_init__(self) -> None:
        """Check the parameters."""
        for field in ("rank", "sweeps"):
            checks.whole(field, getattr(self, field), 1)
        for field in ("ridge", "shrink"):
            checks.positive(field, getattr(self, field))
        checks.between("prior", self.prior, 0, 1)
        checks.weight("beta", self.beta)
        check_signal(self.signal, self.alpha)
        check_purpose(self.purpose)

    def init(self, num_clients: int, num_experts: int) -> LowRank:
        """Return the state before any report.

        Raises
        ------
        ValueError
            If the rank is above the number of experts.
        """
        if self.rank > num_experts:
            raise ValueError(f"rank is {self.rank}; there are only {num_experts} experts")
        angles = np.outer(np.arange(num_experts) + 0.5, np.arange(self.rank) + 1.0) * np.pi / num_experts
        return LowRank(
            value=np.full((num_clients, num_experts), np.nan),
            expert_level=np.full(num_experts, float(self.prior)),
            client_level=np.zeros(num_clients),
            traits=np.zeros((num_clients, self.rank)),
            weights=np.cos(angles),
        )

    def update(self, state: LowRank, reports: Sequence[Report]) -> LowRank:
        """Update the averages of the tried pairs, and fit the model again."""
        i, j, newest = pair_signals(reports, self.signal, self.alpha)
        if not len(i):
            return state
        value, known = state.value.copy(), state.value[i, j]
        value[i, j] = np.where(np.isnan(known), newest, (1 - self.beta) * known + self.beta * newest)
        return self._fitted(replace(state, value=value))

    def _fitted(self, state: LowRank) -> LowRank:
        seen = np.flatnonzero(~np.isnan(state.value).all(axis=1))
        given = state.value[seen]
        mask = ~np.isnan(given)
        tried, filled = mask.astype(np.float64), np.where(mask, given, 0.0)
        mean = filled.sum() / tried.sum()
        expert = mean + self._level(filled - mean * tried, tried, axis=0)
        rest = filled - expert * tried
        client = self._level(rest, tried, axis=1)
        rest -= client[:, None] * tried
        weights = state.weights
        for _ in range(self.sweeps):
            traits = _least_squares(rest, tried, weights, self.ridge)
            weights = _least_squares(rest.T, tried.T, traits, self.ridge)
        client_level, all_traits = state.client_level.copy(), state.traits.copy()
        client_level[seen], all_traits[seen] = client, traits
        return LowRank(state.value, expert, client_level, all_traits, weights)

    def _level(self, rest: FloatArray, tried: FloatArray, *, axis: int) -> FloatArray:
        level: FloatArray = rest.sum(axis=axis) / (tried.sum(axis=axis) + self.shrink)
        return level

    def fitness(self, state: LowRank, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return Q for tried pairs, else the prediction, (len(cohort), num_experts); between 0 and 1."""
        fitted = state.traits[cohort] @ state.weights.T
        fitted += state.expert_level
        fitted += state.client_level[cohort, None]
        known = state.value[cohort]
        value = np.where(np.isnan(known), np.clip(fitted, 0.0, 1.0), known)
        return value if self.purpose == "specialise" else 1.0 - value


def _least_squares(rest: FloatArray, tried: FloatArray, weights: FloatArray, ridge: float) -> FloatArray:
    """Return traits (n, rank) for the rows of ``rest``, fitted to the tried entries given the columns' weights."""
    rank = weights.shape[1]
    products = (weights[:, :, None] * weights[:, None, :]).reshape(len(weights), rank * rank)
    systems = (tried @ products).reshape(-1, rank, rank) + ridge * np.eye(rank)
    return np.linalg.solve(systems, (rest @ weights)[:, :, None])[:, :, 0].astype(np.float64, copy=False)
