"""Fitness by balanced clusters of the clients' router statistics: as many clusters as experts, equally large.

Constrained k-means (Bradley, Bennett and Demiriz, MSR-TR-2000-65; with equal sizes Malinen and Fränti, 2014): centres
and memberships take turns, and the members of equally large clusters are found by an exact assignment, here our own
``solve``. Cluster j belongs to expert j, so that a round's clusters must not change names: the first memberships are
the balanced assignment by router mass itself, and later rounds go on from the centres of the last one.

A client's fitness for an expert falls with the squared distance to the expert's centre. Where clients come from
distinct domains this finds them even if the router does not yet split them, because it looks at whole profiles. By its
construction it is favoured where the domains are clusters: comparisons should say so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
        """Return the same with nothing known of clients that joined."""
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
        How often per round memberships and centres take turns, 1 or more; fewer if they settle.
    """

    beta: float = 0.3
    turns: int = 5

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.weight("beta", self.beta)
        checks.whole("turns", self.turns, 1)

    def init(self, num_clients: int, num_experts: int) -> Clusters:
        """Nobody has reported."""
        return Clusters(np.full((num_clients, num_experts), np.nan), np.full((num_experts, num_experts), np.nan))

    def update(self, state: Clusters, reports: Sequence[Report]) -> Clusters:
        """Average the profiles of those who completed their round, and cluster all that are known.

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
        """Closeness of the cohort's pairs; 0.5 everywhere for a client that never reported."""
        if np.isnan(state.centre).any():
            return np.full((len(cohort), len(state.centre)), 0.5)
        return scaled_to_range(-_squared_distances(state.profile[cohort], state.centre))


def balanced_members(closeness: FloatArray) -> IntArray:
    """Expert of each client, (num_clients,): equally many clients for each, and the largest total closeness.

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
    assert assigned is not None  # the bounds surround the even share, and every client is eligible for all
    return assigned.experts


def _centres(profile: FloatArray, members: IntArray, before: FloatArray) -> FloatArray:
    """Mean profile of each cluster; a cluster without members stays where it was, or at its own expert."""
    num_experts = profile.shape[1]
    size = np.bincount(members, minlength=num_experts)
    total = np.zeros((num_experts, num_experts))
    np.add.at(total, members, profile)
    alone = np.where(np.isnan(before), np.eye(num_experts), before)
    return np.where(size[:, None] > 0, total / np.maximum(size, 1)[:, None], alone)


def _squared_distances(profile: FloatArray, centre: FloatArray) -> FloatArray:
    """(num_clients, num_experts), up to the client's own length, which no comparison within a row sees.

    Among whole assignments of one expert per client it drops out as well.
    """
    distance: FloatArray = profile @ (-2.0 * centre.T)
    distance += (centre**2).sum(axis=1)
    return distance
