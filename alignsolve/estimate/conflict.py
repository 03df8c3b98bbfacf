"""Use a fitness where clients contradict each other, another one where they agree, and look again when they change.

:class:`~alignsolve.LabelAgreement` gives the verdict from reports. As long as clients agree, every round is judged
again. While the fitness is in use it removes the conflict that it was chosen for, so agreement is then no reason to
stop. Instead a change test watches the clients' losses. What is known of a client that changed is doubted. When a tenth
of a round's clients change at once, the evidence begins anew, and its next verdict counts either way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.agreement import Agreement, LabelAgreement
from alignsolve.estimate.change import ChangeTest, Levels
from alignsolve.estimate.estimator import EstimatorState, FitnessEstimator
from alignsolve.estimate.optional import Advice, advice_of, begun, forgotten, probed
from alignsolve.estimate.random import RandomFitness
from alignsolve.estimate.report import Report
from alignsolve.numerics import FloatArray, IntArray

FEWEST = 2
"""Clients that must change at once before the evidence begins anew."""


@dataclass(frozen=True, eq=False)
class Conflict:
    """What all parts have learned, and the decision.

    Attributes
    ----------
    inner, otherwise
        States of the fitness used in a conflict, and of the one used otherwise.
    evidence
        State of the gate.
    levels
        State of the change test.
    in_use
        Whether the inner fitness is used.
    judged
        Whether there was a verdict since the evidence last began.
    changes
        How often the evidence began anew.
    num_experts
        Number of experts.
    """

    inner: EstimatorState
    otherwise: EstimatorState
    evidence: Agreement
    levels: Levels
    in_use: bool
    judged: bool
    changes: int
    num_experts: int

    def grow(self, num_clients: int) -> "Conflict":
        """Return a copy with room in all states for the clients that joined."""
        return replace(
            self,
            inner=self.inner.grow(num_clients),
            otherwise=self.otherwise.grow(num_clients),
            evidence=self.evidence.grow(num_clients),
            levels=self.levels.grow(num_clients),
        )


@dataclass(frozen=True)
class ConflictFitness:
    """Use an inner fitness where clients contradict each other, and another one otherwise.

    Parameters
    ----------
    inner
        The fitness used in a conflict.
    otherwise
        The fitness used while there is none; with the default and load bounds, a balanced lottery.
    gate
        Judges whether there is a conflict.
    change
        Finds clients whose data changed.
    share
        Share of a round's clients that must change at once for the evidence to begin anew, between 0 and 1.
    presumed
        Whether a conflict is presumed until the first verdict, so that no round is lost where there is one.
    pull
        Whether the auxiliary loss is advised while there is no conflict.
    """

    inner: FitnessEstimator[Any]
    otherwise: FitnessEstimator[Any] = field(default_factory=RandomFitness)
    gate: LabelAgreement = field(default_factory=LabelAgreement)
    change: ChangeTest = field(default_factory=ChangeTest)
    share: float = 0.1
    presumed: bool = False
    pull: bool = False

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.between("share", self.share, 0, 1)

    def init(self, num_clients: int, num_experts: int) -> Conflict:
        """Return the state before the first round, without evidence."""
        return Conflict(
            inner=self.inner.init(num_clients, num_experts),
            otherwise=self.otherwise.init(num_clients, num_experts),
            evidence=self.gate.init(num_clients, num_experts),
            levels=self.change.init(num_clients, num_experts),
            in_use=self.presumed,
            judged=False,
            changes=0,
            num_experts=num_experts,
        )

    def update(self, state: Conflict, reports: Sequence[Report]) -> Conflict:
        """Learn, test for changes, and judge.

        Raises
        ------
        ValueError
            If a completed report lacks what a part learns from.
        """
        levels, changed = self.change.tested(state.levels, reports)
        state = replace(state, levels=levels)
        if len(changed):
            state = self._doubting(state, changed, sum(report.completed for report in reports))
        evidence = self.gate.update(state.evidence, reports)
        state = replace(
            state,
            inner=self.inner.update(state.inner, reports),
            otherwise=self.otherwise.update(state.otherwise, reports),
            evidence=evidence,
        )
        return self._decided(state)

    def _doubting(self, state: Conflict, changed: IntArray, reported: int) -> Conflict:
        """Doubt what is known of clients that changed, and everything if they are many."""
        inner = forgotten(self.inner, state.inner, changed)
        otherwise = forgotten(self.otherwise, state.otherwise, changed)
        state = replace(state, inner=inner, otherwise=otherwise)
        if len(changed) < max(FEWEST, self.share * reported):
            return state
        return replace(state, evidence=self.gate.restart(state.evidence), judged=False, changes=state.changes + 1)

    def _decided(self, state: Conflict) -> Conflict:
        verdict = self.gate.verdict(state.evidence)
        if verdict is None:
            return state
        if verdict and not state.in_use:
            return replace(state, inner=begun(self.inner, state.inner), in_use=True, judged=True)
        # While the fitness is in use, only the first verdict of new evidence may end it.
        return replace(state, in_use=state.in_use and (verdict or state.judged), judged=True)

    def probe(self, state: Conflict, clients: IntArray, masses: FloatArray) -> Conflict:
        """Give fresh router masses to both parts."""
        inner = probed(self.inner, state.inner, clients, masses)
        return replace(state, inner=inner, otherwise=probed(self.otherwise, state.otherwise, clients, masses))

    def forget(self, state: Conflict, clients: IntArray) -> Conflict:
        """Doubt what both parts know of these clients."""
        return self._doubting(state, clients, 0)

    def fitness(self, state: Conflict, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the fitness of the part in use."""
        if state.in_use:
            return self.inner.fitness(state.inner, cohort, rng=rng)
        return self.otherwise.fitness(state.otherwise, cohort, rng=rng)

    def advice(self, state: Conflict) -> Advice:
        """Advise what the part in use advises; the auxiliary loss without a conflict only if ``pull`` says so."""
        looking = "looking whether clients agree"
        if state.in_use:
            advised = advice_of(self.inner, state.inner, state.num_experts)
            return advised if state.judged else replace(advised, verdict=looking)
        verdict = "clients agree" if state.judged else looking
        return Advice(np.ones(state.num_experts, dtype=bool), self.pull, verdict)
