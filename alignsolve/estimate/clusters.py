"""Fitness by balanced clusters of the clients' router masses: one cluster per expert, all of the same size.

The method is constrained k-means (Bradley, Bennett and Demiriz, MSR-TR-2000-65; equal sizes: Malinen and Fränti, 2014).
It alternates two steps: assign clients to clusters of equal size by an exact assignment, here our ``solve``; then move
each centre to the mean of its members. Cluster j belongs to expert j in all rounds: the first memberships are the
balanced assignment by router mass itself, and each later round starts from the last centres.

A client's fitness for an expert falls with the squared distance to the expert's centre. Because whole profiles are
compared, the method finds distinct domains even before the router separates them. Its assumption favours it where the
domains really are clusters; a comparison should say so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.fitness import average_masses, scaled_to_range
from alignsolve.estimate.report import Report
from alignsolve.front import solve
from alignsolve.numerics import FloatArray, IntArray
from alignsolve.problem import AlignmentProblem


@dataclass(frozen=True, eq=False)
class Clusters:
    """Clients' profiles and experts' centres.

    Attributes
    ----------
    profile
        (num_clients, num_experts) moving average of router masses; NaN for clients that never reported.
    centre
        (num_experts, num_experts): row j is the centre of expert j's cluster; NaN before the first report.
    """

    profile: FloatArray
    centre: FloatArray

    def grow(self, num_clients: int) -> "Clusters":
        """Return a copy with unknown profiles (NaN) for the clients that joined."""
        new = np.full((num_clients - len(self.profile), self.profile.shape[1]), np.nan)
        return replace(self, profile=np.concatenate([self.profile, new]))


@dataclass(frozen=True)
class ClusterFitness:
    """Closeness of the client's router profile to the expert's cluster, scaled to 0..1 per client.

    Parameters
    ----------
    beta
        Weight of the newest round in a client's profile, above 0 and at most 1.
    turns
        Most alternations of memberships and centres per round, 1 or more; they stop early once nothing changes.
    """

    learns_from: ClassVar[frozenset[str]] = frozenset({"router_mass"})
    beta: float = 0.3
    turns: int = 5

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.weight("beta", self.beta)
        checks.whole("turns", self.turns, 1)

    def init(self, num_clients: int, num_experts: int) -> Clusters:
        """Return the state before any report: all profiles and centres unknown."""
        return Clusters(np.full((num_clients, num_experts), np.nan), np.full((num_experts, num_experts), np.nan))

    def update(self, state: Clusters, reports: Sequence[Report]) -> Clusters:
        """Average the profiles of the clients that completed the round, and cluster all known profiles.

        Raises
        ------
        ValueError
            If a completed report has no ``router_mass``, or one of another length than num_experts.
        """
        if not any(report.completed for report in reports):
            return state
        profile = average_masses(state.profile, reports, self.beta, type(self).__name__)
        return Clusters(profile, self._clustered(profile[~np.isnan(profile[:, 0])], state.centre))

    def _clustered(self, profile: FloatArray, centre: FloatArray) -> FloatArray:
        first = np.isnan(centre).any()
        closeness = profile if first else -_squared_distances(profile, centre)
        members: IntArray | None = None
        for _ in range(self.turns):
            found = balanced_members(closeness)
            if members is not None and (found == members).all():
                break
            members, centre = found, _centres(profile, found, centre)
            closeness = -_squared_distances(profile, centre)
        return centre

    def fitness(self, state: Clusters, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the closeness of the cohort, (len(cohort), num_experts); 0.5 for a client that never reported."""
        if np.isnan(state.centre).any():
            return np.full((len(cohort), len(state.centre)), 0.5)
        return scaled_to_range(-_squared_distances(state.profile[cohort], state.centre))


def balanced_members(closeness: FloatArray) -> IntArray:
    """Return the expert of each client, (num_clients,), with equal clusters and the largest total closeness.

    Examples
    --------
    >>> balanced_members(np.array([[0.9, 0.1], [0.8, 0.1], [0.7, 0.1], [0.6, 0.5]]))
    array([0, 0, 1, 1])
    """
    share = len(closeness) / closeness.shape[1]
    problem = AlignmentProblem(
        closeness, client_demand=1, expert_demand=np.floor(share), expert_capacity=np.ceil(share)
    )
    assigned = solve(problem).assigned
    assert assigned is not None  # feasible: the bounds surround the even share, all pairs are eligible
    return assigned.experts


def _centres(profile: FloatArray, members: IntArray, before: FloatArray) -> FloatArray:
    """Return the mean profile of each cluster; an empty cluster keeps its centre, or starts at its own expert."""
    num_experts = profile.shape[1]
    size = np.bincount(members, minlength=num_experts)
    total = np.zeros((num_experts, num_experts))
    np.add.at(total, members, profile)
    alone = np.where(np.isnan(before), np.eye(num_experts), before)
    return np.where(size[:, None] > 0, total / np.maximum(size, 1)[:, None], alone)


def _squared_distances(profile: FloatArray, centre: FloatArray) -> FloatArray:
    """Return squared distances, (num_clients, num_experts), without the term |profile|².

    That term is constant within a row, so it changes neither a comparison of experts nor an assignment of one expert
    per client.
    """
    distance: FloatArray = profile @ (-2.0 * centre.T)
    distance += (centre**2).sum(axis=1)
    return distance
