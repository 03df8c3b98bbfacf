"""Fitness by the geometry of updates: clients that move the shared parts alike get the same experts.

Each client's features (:mod:`.geometry`) are averaged over its reports, clients are clustered by the averages
(:mod:`.kmeans`), and clusters are given experts (:mod:`.serving`). The fitness of a pair is (1 + c)/2, where c is the
largest cosine of the client's average to the centre of a cluster that the expert serves. Clustering clients by updates
is from clustered federated learning (Sattler, Müller and Samek, arXiv 1910.01991); that it decides which experts a
client trains, the averages and the names are ours.

In the first ``young`` rounds the clusters are made anew every round, and keep their names by matching. Afterwards they
start from the last centres: once experts have taken up the differences between clients, updates show less of them, and
clusters made from nothing would change their names.

What the server learns about clients by this: which of them are alike. It needs single clients' updates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.geometry import features, same_shape, to_unit
from alignsolve.estimate.kmeans import clustered, matched, mean_rows, nearest
from alignsolve.estimate.report import Report, told_geometries
from alignsolve.estimate.serving import serving
from alignsolve.numerics import BoolArray, FloatArray, IntArray

TURNS = 5
"""Most steps from the last centres in a round."""


@dataclass(frozen=True, eq=False)
class UpdateClusters:
    """Clients' average features, and the clusters.

    Attributes
    ----------
    count
        (num_clients,) reports in each client's average; 0: nothing is known.
    mean
        (num_clients, width) average features; the width is 0 before the first report.
    centre
        (most_clusters, width) centres by name; NaN for names that are not in use.
    size
        (most_clusters,) known clients of each cluster.
    serves
        (most_clusters, num_experts) which expert serves which cluster.
    age
        Rounds since the clusters were last made from nothing without a memory of names.
    """

    count: IntArray
    mean: FloatArray
    centre: FloatArray
    size: FloatArray
    serves: BoolArray
    age: int

    def __post_init__(self) -> None:
        """Refuse widths that differ, as in a file that was tampered with."""
        if self.mean.shape[1] != self.centre.shape[1]:
            raise ValueError(f"mean has width {self.mean.shape[1]}, centre has {self.centre.shape[1]}")

    @property
    def clusters(self) -> IntArray:
        """(num_clients,) the name of each client's cluster; −1 for clients of whom nothing is known."""
        known = self.count > 0
        if not known.any() or not (self.size > 0).any():
            return np.full(len(self.count), -1)
        return np.where(known, nearest(self.mean, self.centre), -1)

    def grow(self, num_clients: int) -> "UpdateClusters":
        """Return a copy in which nothing is known of the clients that joined."""
        more = num_clients - len(self.count)
        count = np.concatenate([self.count, np.zeros(more, dtype=np.int64)])
        return replace(self, count=count, mean=np.concatenate([self.mean, np.zeros((more, self.mean.shape[1]))]))


@dataclass(frozen=True)
class UpdateFitness:
    """Closeness of the client's updates to those of the clients whom the expert serves, between 0 and 1.

    Parameters
    ----------
    num_clusters
        Number of clusters, 1 or more. None: one more than the principal components above noise, from 2 to twice the
        number of experts.
    beta
        Weight of the newest report in a client's average, once it has more than 1/beta reports; the plain mean before.
        Above 0 and at most 1.
    young
        Rounds in which clusters are made anew, 1 or more.

    Notes
    -----
    A round with fewer than two completed reports teaches nothing: there is no common direction to subtract.
    """

    learns_from: ClassVar[frozenset[str]] = frozenset({"geometry"})
    num_clusters: int | None = None
    beta: float = 0.2
    young: int = 5

    def __post_init__(self) -> None:
        """Check the parameters."""
        if self.num_clusters is not None:
            checks.whole("num_clusters", self.num_clusters, 1)
        checks.weight("beta", self.beta)
        checks.whole("young", self.young, 1)

    def init(self, num_clients: int, num_experts: int) -> UpdateClusters:
        """Return the state before any report; the width of features is not yet known."""
        most = 2 * num_experts if self.num_clusters is None else self.num_clusters
        return UpdateClusters(
            count=np.zeros(num_clients, dtype=np.int64),
            mean=np.zeros((num_clients, 0)),
            centre=np.full((most, 0), np.nan),
            size=np.zeros(most),
            serves=np.zeros((most, num_experts), dtype=bool),
            age=0,
        )

    def update(self, state: UpdateClusters, reports: Sequence[Report]) -> UpdateClusters:
        """Average the features of the clients that completed the round, and cluster all known clients.

        Raises
        ------
        ValueError
            If a completed report has no ``geometry``, or one of another shape than before.
        """
        clients, geometries = told_geometries(reports, type(self).__name__)
        if len(clients) < 2:
            return state
        newest = features(geometries)
        mean = state.mean if state.mean.shape[1] else np.zeros((len(state.mean), newest.shape[1]))
        same_shape(int(clients[0]), "geometry, as features,", newest.shape[1:], mean.shape[1:])
        count = state.count.copy()
        count[clients] += 1
        weight = np.maximum(1.0 / count[clients], self.beta)[:, None]
        mean = mean.copy()
        mean[clients] = (1 - weight) * mean[clients] + weight * newest
        centre = state.centre if state.centre.shape[1] else np.full((len(state.centre), mean.shape[1]), np.nan)
        return self._clustered(replace(state, count=count, mean=mean, centre=centre))

    def _clustered(self, state: UpdateClusters) -> UpdateClusters:
        rows = to_unit(state.mean[state.count > 0])
        centre = self._anew(rows, state) if state.age < self.young else self._onwards(rows, state.centre)
        size = np.bincount(nearest(rows, centre), minlength=len(centre)).astype(np.float64)
        in_use = (state.size > 0) == (size > 0)
        serves = state.serves if in_use.all() and size.any() else serving(size, centre, state.serves)
        return replace(state, centre=centre, size=size, serves=serves, age=state.age + 1)

    def _anew(self, rows: FloatArray, state: UpdateClusters) -> FloatArray:
        """Make clusters from nothing, and give them the names of the old ones that they resemble."""
        most = len(state.centre)
        rng = np.random.default_rng(state.age)
        members = clustered(rows, 2 if self.num_clusters is None else most, most, rng)
        made = mean_rows(rows, members, int(members.max()) + 1)
        named = matched(to_unit(made) @ to_unit(np.nan_to_num(state.centre)).T)
        centre = np.full_like(state.centre, np.nan)
        centre[named] = made
        return centre

    def _onwards(self, rows: FloatArray, centre: FloatArray) -> FloatArray:
        """Move the last centres; one that loses all its clients stays where it is."""
        members = nearest(rows, centre)
        for _ in range(TURNS):
            means = mean_rows(rows, members, len(centre))
            centre = np.where(np.isnan(means), centre, means)
            found = nearest(rows, centre)
            if (found == members).all():
                break
            members = found
        return centre

    def cosines(self, state: UpdateClusters, cohort: IntArray) -> FloatArray:
        """Return each client's largest cosine to a cluster of each expert, (len(cohort), num_experts).

        It is 0 for clients of whom nothing is known, and −1 for experts that serve no cluster.
        """
        if not state.serves.any():
            return np.zeros((len(cohort), state.serves.shape[1]))
        cosine = to_unit(state.mean[cohort]) @ to_unit(np.nan_to_num(state.centre)).T
        best: FloatArray = np.where(state.serves[None], cosine[:, :, None], -1.0).max(axis=1)
        best[state.count[cohort] == 0] = 0.0
        return best

    def fitness(self, state: UpdateClusters, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return (1 + cosine)/2, (len(cohort), num_experts); 0.5 for clients of whom nothing is known."""
        return np.clip((1.0 + self.cosines(state, cohort)) / 2.0, 0.0, 1.0)

    def forget(self, state: UpdateClusters, clients: IntArray) -> UpdateClusters:
        """Start the averages of these clients anew at their next report; new clusters are made, which keep names."""
        count: Any = state.count.copy()
        count[clients] = np.minimum(count[clients], 1)
        mean = state.mean.copy()
        mean[clients] *= FADED
        return replace(state, count=count, mean=mean, age=0)


FADED = 1e-3
"""What is left of a doubted average: its direction serves until the next report, which outweighs it."""
