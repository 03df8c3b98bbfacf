"""Whether domains are visible: whether routers tell the clusters of clients apart, or only their updates do.

The lift of a client is its router mass on the experts that serve its cluster, over the mean mass there of clients of
other clusters. A lift of 1 means that the router sees no difference: the domain is hidden, and no router can learn to
send an example to the right expert. The verdict is about the mean lift over clients, averaged over rounds:

- **visible** at ``visible`` or more. Routers then know more than clusters, and the affinity of router masses decides.
- **hidden** below ``hidden``, after ``after`` rounds in which clusters decided, and ``seen`` reports of a client: with
  few clients in each round, routers take more rounds to learn. A client's own experts are then right for it, and no
  others: it holds the experts that serve its cluster (cosine of at least ``fit``), fewer than its capacity if need be,
  with no load bounds and no auxiliary loss. This serves the clients and not the whole model, so the user says whether
  it is wanted; otherwise the lottery goes on.
- **open** in between: clusters alone decide for ``alone`` rounds, then clusters and router masses, half and half.

Clients that have only the rows of the router for their own experts report no router masses. Then there is no lift, the
verdict stays open, and clusters alone decide.

The verdict is revised in every round, but from visible only by :meth:`RevealedFitness.forget`: once experts serve their
domains, updates show domains no longer, and clusters would tell routers wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.affinity import AffinityFitness
from alignsolve.estimate.estimator import EstimatorState, FitnessEstimator
from alignsolve.estimate.fitness import PairFitness, RouterFitness
from alignsolve.estimate.optional import Advice, forgotten, probed
from alignsolve.estimate.random import Experts, RandomFitness
from alignsolve.estimate.report import Report
from alignsolve.estimate.serving import serving
from alignsolve.estimate.update_fitness import UpdateClusters, UpdateFitness
from alignsolve.numerics import BoolArray, FloatArray, IntArray

OPEN, VISIBLE, HIDDEN = 0, 1, 2
VERDICTS = ("looking whether domains are visible", "domains are visible", "domains are hidden")
UNFIT = -1.0
"""Fitness of an expert that a client must not hold: less than no expert, which is 0."""


@dataclass(frozen=True, eq=False)
class Revealed:
    """What clusters and routers have learned, and the verdict.

    Attributes
    ----------
    clusters, router, affinity, lottery
        States of the four estimators of fitness.
    lift
        Average lift; NaN before it is known.
    rounds
        Rounds with a lift since clusters began to decide.
    verdict
        0 open, 1 visible, 2 hidden.
    """

    clusters: UpdateClusters
    router: PairFitness
    affinity: EstimatorState
    lottery: Experts
    lift: float
    rounds: int
    verdict: int

    def grow(self, num_clients: int) -> "Revealed":
        """Return a copy with room in all states for the clients that joined."""
        return replace(
            self,
            clusters=self.clusters.grow(num_clients),
            router=self.router.grow(num_clients),
            affinity=self.affinity.grow(num_clients),
        )


@dataclass(frozen=True)
class RevealedFitness:
    """Fitness by clusters of updates first, and by what shows the domains best later on.

    Parameters
    ----------
    serve_hidden
        Whether clients with hidden domains get their own cluster's experts alone; else experts are drawn for them.
    clusters
        The clusters of updates.
    affinity
        The fitness by router masses for visible domains.
    visible, hidden
        Lifts of the two verdicts, 1 ≤ hidden ≤ visible.
    after
        Rounds before domains can be found hidden, 1 or more.
    seen
        Reports of a client, on average over those that reported, before domains can be found hidden; 0 or more.
    alone
        Rounds in which clusters alone decide, 0 or more.
    fit
        Least cosine to the own cluster at which a client with a hidden domain holds its experts, from −1 to 1. Every
        client holds an expert of the cluster that is nearest to it.
    beta
        Weight of the newest round in the average lift and in router masses, above 0 and at most 1.
    """

    learns_from: ClassVar[frozenset[str]] = frozenset({"geometry", "router_mass"})
    serve_hidden: bool = True
    clusters: UpdateFitness = field(default_factory=UpdateFitness)
    affinity: FitnessEstimator[Any] = field(default_factory=AffinityFitness)
    visible: float = 1.5
    hidden: float = 1.15
    after: int = 6
    seen: float = 3.0
    alone: int = 3
    fit: float = 0.5
    beta: float = 0.3

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.positive("visible", self.visible)
        checks.between("hidden", self.hidden, 1, self.visible)
        checks.whole("after", self.after, 1)
        checks.amount("seen", self.seen)
        checks.whole("alone", self.alone, 0)
        checks.between("fit", self.fit, -1, 1)
        checks.weight("beta", self.beta)

    @property
    def _router(self) -> RouterFitness:
        return RouterFitness(self.beta, scaling="none")

    def init(self, num_clients: int, num_experts: int) -> Revealed:
        """Return the state before the first round, without a verdict."""
        return Revealed(
            clusters=self.clusters.init(num_clients, num_experts),
            router=self._router.init(num_clients, num_experts),
            affinity=self.affinity.init(num_clients, num_experts),
            lottery=Experts(num_experts),
            lift=float("nan"),
            rounds=0,
            verdict=OPEN,
        )

    def begin(self, state: Revealed) -> Revealed:
        """Begin to judge: from now on clusters decide, so that routers can learn them.

        Clusters get the experts that the routers of their clients prefer so far: the weakest preference is a start.
        """
        clusters = replace(state.clusters, serves=self._preferred_serving(state))
        return replace(state, clusters=clusters, lift=float("nan"), rounds=0, verdict=OPEN)

    def _preferred_serving(self, state: Revealed) -> BoolArray:
        """Return which expert serves which cluster, as the routers of its clients prefer so far."""
        return serving(state.clusters.size, state.clusters.centre, self._preferred(state))

    def _preferred(self, state: Revealed) -> BoolArray:
        """Return the cluster that prefers each expert most, (num_clusters, num_experts), by mean router mass."""
        name, mass = state.clusters.clusters, state.router.value
        members = (name[:, None] == np.arange(len(state.clusters.size))) & ~np.isnan(mass[:, :1])
        total = members.T.astype(np.float64) @ np.nan_to_num(mass)
        mean = np.where(members.any(axis=0)[:, None], total / np.maximum(members.sum(axis=0), 1)[:, None], -1.0)
        preferred = np.zeros_like(state.clusters.serves)
        preferred[mean.argmax(axis=0), np.arange(mean.shape[1])] = True
        return preferred

    def forget(self, state: Revealed, clients: IntArray) -> Revealed:
        """Doubt what is known of these clients, and judge anew."""
        known = self.clusters.forget(state.clusters, clients)
        affinity = forgotten(self.affinity, state.affinity, clients)
        return replace(self.begin(state), clusters=known, affinity=affinity)

    def probe(self, state: Revealed, clients: IntArray, masses: FloatArray) -> Revealed:
        """Use fresh router masses in the next round."""
        router = self._router.probe(state.router, clients, masses)
        return replace(state, router=router, affinity=probed(self.affinity, state.affinity, clients, masses))

    def update(self, state: Revealed, reports: Sequence[Report]) -> Revealed:
        """Learn, and judge whether routers tell the clusters apart.

        Raises
        ------
        ValueError
            If a completed report lacks ``geometry``, one has another shape than before, or only some reports have
            ``router_mass``.
        """
        served = state.clusters.serves.any()
        clusters = state.clusters if state.verdict == VISIBLE else self.clusters.update(state.clusters, reports)
        if all(report.router_mass is None for report in reports if report.completed):
            return replace(state, clusters=clusters)
        state = replace(
            state,
            clusters=clusters,
            router=self._router.update(state.router, reports),
            affinity=self.affinity.update(state.affinity, reports),
        )
        if clusters.serves.any() and not served:
            return replace(state, clusters=replace(clusters, serves=self._preferred_serving(state)))
        now = mean_lift(reports, clusters.clusters, clusters.serves)
        if np.isnan(now):
            return state
        lift = now if np.isnan(state.lift) else (1 - self.beta) * state.lift + self.beta * now
        state = replace(state, lift=lift, rounds=state.rounds + 1)
        return replace(state, verdict=self._judged(state))

    def _judged(self, state: Revealed) -> int:
        if state.verdict == VISIBLE or state.lift >= self.visible:
            return VISIBLE
        reports = state.clusters.count[state.clusters.count > 0]
        if state.rounds < self.after or reports.mean() < self.seen:
            return OPEN
        return HIDDEN if state.lift < self.hidden else state.verdict

    def fitness(self, state: Revealed, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the fitness of the cohort, (len(cohort), num_experts); −1 for experts that must not be held."""
        if state.verdict == VISIBLE:
            return self.affinity.fitness(state.affinity, cohort, rng=rng)
        if state.verdict == HIDDEN and not self.serve_hidden:
            return RandomFitness().fitness(state.lottery, cohort, rng=rng)
        near = self.clusters.fitness(state.clusters, cohort, rng=rng)
        if state.verdict == HIDDEN:
            return self._own_alone(state.clusters, cohort, near)
        if state.rounds < self.alone:
            return near
        mass = self._router.fitness(state.router, cohort, rng=rng)
        largest = mass.max(axis=1, keepdims=True)
        half: FloatArray = 0.5 * near + 0.5 * mass / np.where(largest > 0, largest, 1.0)
        return half

    def _own_alone(self, clusters: UpdateClusters, cohort: IntArray, near: FloatArray) -> FloatArray:
        cosine = self.clusters.cosines(clusters, cohort)
        held: BoolArray = (cosine >= self.fit) | (cosine >= cosine.max(axis=1, keepdims=True))
        held[clusters.count[cohort] == 0] = True  # of these nothing is known
        return np.where(held, np.maximum(near, 0.01), UNFIT)

    def advice(self, state: Revealed) -> Advice:
        """Advise neither bounds nor auxiliary loss where clients of hidden domains get their own experts alone."""
        free = state.verdict == HIDDEN and self.serve_hidden
        bounded = np.full(state.lottery.num_experts, not free)
        return Advice(bounded, pull=state.verdict != HIDDEN, verdict=VERDICTS[state.verdict])


def mean_lift(reports: Sequence[Report], clusters: IntArray, serves: BoolArray) -> float:
    """Return the mean lift of a round's clients; NaN if fewer than two clusters reported.

    Parameters
    ----------
    reports
        The round's reports, with router masses.
    clusters
        (num_clients,) name of each client's cluster, −1 if unknown.
    serves
        (num_clusters, num_experts) which expert serves which cluster.
    """
    done = [report for report in reports if report.completed and clusters[report.client] >= 0]
    if not done:
        return float("nan")
    name = clusters[[report.client for report in done]]
    on_own = np.array([report.router_mass for report in done]) @ serves[name].T  # entry (j, i): j's mass on i's experts
    others = name[:, None] != name
    if not others.any():
        return float("nan")
    counted = others.any(axis=0)
    elsewhere = np.where(others, on_own, 0.0).sum(axis=0)[counted] / others.sum(axis=0)[counted]
    own = np.diagonal(on_own)[counted]
    return float((own / np.maximum(elsewhere, 1e-9)).clip(0.0, 1e3).mean())
