"""Clustered federated learning (Sattler, Müller and Samek, arXiv 1910.01991), reconstructed, with clusters as experts.

In the paper a federation is split in two when its common training has stalled although single clients still move: the
length of the mean update is small, that of the longest is not. The split minimises the largest cosine between updates
of clients in different halves. Each half trains a model of its own, and is split again by the same rule.

The best split cuts the weakest edge of the maximum spanning tree of cosines: every other split has a stronger edge
across. Reconstructed: a cluster's model is the experts that serve it (:mod:`.serving`), beside a shared part, which the
paper does not have. A cluster has stalled when its mean update is shorter than ``stalled`` times its longest (the paper
uses two absolute lengths). Clients that were not in a round count with their last update.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.geometry import same_shape, to_unit
from alignsolve.estimate.report import Report, told_geometries
from alignsolve.estimate.serving import serving
from alignsolve.numerics import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Halves:
    """The clusters so far.

    Attributes
    ----------
    update
        (num_clients, width) last update of each client; the width is 0 before the first report.
    known
        (num_clients,) whether the client has reported.
    cluster
        (num_clients,) the client's cluster; clients that join start in cluster 0.
    serves
        (num_experts, num_experts) row k: the experts of cluster k.
    rounds
        Rounds so far.
    """

    update: FloatArray
    known: BoolArray
    cluster: IntArray
    serves: BoolArray
    rounds: int

    def grow(self, num_clients: int) -> "Halves":
        """Return a copy with room for the clients that joined."""
        more = num_clients - len(self.known)
        return replace(
            self,
            update=np.concatenate([self.update, np.zeros((more, self.update.shape[1]))]),
            known=np.concatenate([self.known, np.zeros(more, dtype=bool)]),
            cluster=np.concatenate([self.cluster, np.zeros(more, dtype=np.int64)]),
        )


@dataclass(frozen=True)
class BipartitionFitness:
    """Fitness 1 for the experts of the client's cluster, 0 for all others.

    Parameters
    ----------
    stalled
        Length of the mean update, as a share of the longest, below which a cluster is split, between 0 and 1.
    after
        Rounds before the first split, 1 or more.
    fewest
        Fewest clients of a cluster that is split, 2 or more.
    """

    learns_from: ClassVar[frozenset[str]] = frozenset({"geometry"})
    stalled: float = 0.4
    after: int = 5
    fewest: int = 3

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.between("stalled", self.stalled, 0, 1)
        checks.whole("after", self.after, 1)
        checks.whole("fewest", self.fewest, 2)

    def init(self, num_clients: int, num_experts: int) -> Halves:
        """Return the state before any report: one cluster, which has all experts."""
        serves = np.zeros((num_experts, num_experts), dtype=bool)
        serves[0] = True
        cluster, known = np.zeros(num_clients, dtype=np.int64), np.zeros(num_clients, dtype=bool)
        return Halves(np.zeros((num_clients, 0)), known, cluster, serves, rounds=0)

    def update(self, state: Halves, reports: Sequence[Report]) -> Halves:
        """Keep the updates of the clients that completed the round, and split what has stalled, each cluster once.

        Raises
        ------
        ValueError
            If a completed report has no ``geometry``, or one of another shape than before.
        """
        clients, geometries = told_geometries(reports, type(self).__name__)
        if not len(clients):
            return replace(state, rounds=state.rounds + 1)
        newest = np.array([np.concatenate([one.head.ravel(), one.body]) for one in geometries])
        update = state.update if state.update.shape[1] else np.zeros((len(state.known), newest.shape[1]))
        same_shape(int(clients[0]), "geometry, as one vector,", newest.shape[1:], update.shape[1:])
        update, known = update.copy(), state.known.copy()
        update[clients], known[clients] = newest, True
        state = replace(state, update=update, known=known, rounds=state.rounds + 1)
        return self._split(state) if state.rounds >= self.after else state

    def _split(self, state: Halves) -> Halves:
        cluster, num_experts = state.cluster.copy(), len(state.serves)
        for name in range(int(cluster.max()) + 1):
            members = np.flatnonzero((cluster == name) & state.known)
            if len(members) < self.fewest or cluster.max() + 1 >= num_experts:
                continue
            length = np.sqrt((state.update[members] ** 2).sum(axis=1))
            mean = np.sqrt((state.update[members].mean(axis=0) ** 2).sum())
            if mean < self.stalled * length.max():
                unit = to_unit(state.update[members])
                cluster[members[weakest_cut(unit @ unit.T)]] = cluster.max() + 1
        if (cluster == state.cluster).all():
            return state
        size = np.bincount(cluster, minlength=num_experts).astype(np.float64)
        serves = serving(size, np.eye(num_experts), state.serves)  # centres are not read: clusters are not more
        return replace(state, cluster=cluster, serves=serves)

    def fitness(self, state: Halves, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the fitness of the cohort, (len(cohort), num_experts), 0 or 1."""
        return state.serves[state.cluster[cohort]].astype(np.float64)


def weakest_cut(cosine: FloatArray) -> BoolArray:
    """Return the split whose largest cosine between halves is smallest; True marks the half without the first row.

    Examples
    --------
    >>> weakest_cut(np.array([[1.0, 0.9, 0.1], [0.9, 1.0, 0.2], [0.1, 0.2, 1.0]]))
    array([False, False,  True])
    """
    size = len(cosine)
    reach, parent = cosine[0].copy(), np.zeros(size, dtype=np.int64)
    order, inside = [0], np.zeros(size, dtype=bool)
    inside[0] = True
    strength = np.full(size, np.inf)  # of the edge by which a row joined the tree (Prim)
    for _ in range(size - 1):
        row = int(np.where(inside, -np.inf, reach).argmax())
        inside[row], strength[row] = True, reach[row]
        order.append(row)
        nearer = ~inside & (cosine[row] > reach)
        reach[nearer], parent[nearer] = cosine[row][nearer], row
    cut = int(strength.argmin())
    beyond = np.zeros(size, dtype=bool)
    for row in order:  # parents come before children
        beyond[row] = row == cut or (row != 0 and beyond[parent[row]])
    return beyond
