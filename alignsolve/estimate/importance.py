"""HFedMoE's importance of experts (arXiv 2601.00583), reconstructed from the router mass that clients report.

In the paper a client rates expert e by λ·(mean gate) + (1 − λ)·(largest gate) − β·Σ gate·log(gate/mean gate of the
batch) over its examples, and takes its best experts within its budget, whatever other clients do. Reports have a mean
gate per round and no gates of examples. Here a client's reports stand for its examples: the mean and the largest router
mass over its rounds, and the masses' relative entropy to the mean over all clients.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.fitness import average_masses, scaled_to_range
from alignsolve.estimate.report import Report
from alignsolve.numerics import FloatArray, IntArray

TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Gates:
    """Clients' gates so far.

    Attributes
    ----------
    mean, largest
        (num_clients, num_experts) mean and largest router mass over a client's reports; NaN before the first.
    count
        (num_clients,) completed reports.
    """

    mean: FloatArray
    largest: FloatArray
    count: IntArray

    def grow(self, num_clients: int) -> "Gates":
        """Return a copy with unknown gates of the clients that joined."""
        more = num_clients - len(self.count)
        new = np.full((more, self.mean.shape[1]), np.nan)
        count = np.concatenate([self.count, np.zeros(more, dtype=np.int64)])
        return Gates(np.concatenate([self.mean, new]), np.concatenate([self.largest, new]), count)


@dataclass(frozen=True)
class ImportanceFitness:
    """Importance of each expert to the client, scaled to 0..1 per client; 0.5 for a client that never reported.

    Parameters
    ----------
    mean_weight
        λ: weight of the mean gate beside the largest, between 0 and 1.
    redundancy
        β: weight of the relative entropy, 0 or more.
    """

    learns_from: ClassVar[frozenset[str]] = frozenset({"router_mass"})
    mean_weight: float = 0.5
    redundancy: float = 0.1

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.between("mean_weight", self.mean_weight, 0, 1)
        checks.amount("redundancy", self.redundancy)

    def init(self, num_clients: int, num_experts: int) -> Gates:
        """Return the state before any report: NaN everywhere."""
        unknown = np.full((num_clients, num_experts), np.nan)
        return Gates(unknown, unknown.copy(), np.zeros(num_clients, dtype=np.int64))

    def update(self, state: Gates, reports: Sequence[Report]) -> Gates:
        """Add the gates of completed reports.

        Raises
        ------
        ValueError
            If a completed report has no ``router_mass``, or one of another length than num_experts.
        """
        newest = average_masses(state.mean, reports, 1.0, type(self).__name__)
        done = [report.client for report in reports if report.completed]
        mean, largest, count = state.mean.copy(), state.largest.copy(), state.count.copy()
        count[done] += 1
        weight = 1.0 / count[done][:, None]
        mean[done] = (1 - weight) * np.nan_to_num(mean[done]) + weight * newest[done]
        largest[done] = np.fmax(largest[done], newest[done])
        return replace(state, mean=mean, largest=largest, count=count)

    def fitness(self, state: Gates, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the importance of the cohort, (len(cohort), num_experts), between 0 and 1."""
        known = state.count > 0
        if not known.any():
            return np.full((len(cohort), state.mean.shape[1]), 0.5)
        mean, largest = state.mean[cohort], state.largest[cohort]
        usual = np.maximum(state.mean[known].mean(axis=0), TINY)
        entropy = mean * np.log(np.maximum(mean, TINY) / usual)
        return scaled_to_range(self.mean_weight * mean + (1 - self.mean_weight) * largest - self.redundancy * entropy)
