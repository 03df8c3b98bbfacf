"""The oracle: fitness by the true domains of the clients, which no server knows. It shows what there is to gain."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve.data import validation
from alignsolve.estimate.random import Experts
from alignsolve.estimate.report import Report
from alignsolve.estimate.serving import serving
from alignsolve.numerics import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class OracleFitness:
    """Share of the client's examples that come from domains which the expert serves, scaled to at most 1 per client.

    Domains may be more or fewer than experts: an expert may serve several, and a domain may have several experts
    (:mod:`alignsolve.estimate.serving`).

    Parameters
    ----------
    mixture
        (num_clients, num_domains) share of each client's examples that come from each domain, 0 or more.

    Examples
    --------
    >>> oracle = OracleFitness(mixture=[[0.9, 0.1], [0.0, 1.0]])
    >>> oracle.fitness(oracle.init(2, num_experts=2), np.arange(2), rng=np.random.default_rng(0)).round(2)
    array([[1.  , 0.11],
           [0.  , 1.  ]])
    """

    mixture: Any

    def __post_init__(self) -> None:
        """Read the mixture."""
        mixture = validation.numbers("mixture", self.mixture)
        if mixture.ndim != 2 or not mixture.size:
            raise ValueError(f"mixture has shape {mixture.shape}; it must be (num_clients, num_domains)")
        validation.amounts("mixture", mixture, mixture.shape, ("client", "domain"), infinite=False)
        object.__setattr__(self, "mixture", mixture)

    def init(self, num_clients: int, num_experts: int) -> Experts:
        """Return the state, which holds the number of experts.

        Raises
        ------
        ValueError
            If the mixture has fewer clients.
        """
        self._check(num_clients - 1)
        return Experts(num_experts)

    def update(self, state: Experts, reports: Sequence[Report]) -> Experts:
        """Return the state unchanged: the oracle knows the truth."""
        return state

    def fitness(self, state: Experts, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the fitness of the cohort, (len(cohort), num_experts), between 0 and 1."""
        self._check(int(cohort.max()))
        none = np.zeros((self.mixture.shape[1], state.num_experts), dtype=bool)
        served = self.mixture[cohort] @ serving(self.mixture.sum(axis=0), self.mixture.T, none)
        largest = served.max(axis=1, keepdims=True)
        scaled: FloatArray = served / np.where(largest > 0, largest, 1.0)
        return scaled

    def _check(self, client: int) -> None:
        if client >= len(self.mixture):
            raise ValueError(f"the mixture has {len(self.mixture)} clients, and none with index {client}")
