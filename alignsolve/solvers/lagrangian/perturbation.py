"""From choices to a good alignment: chains of moves, rows chosen anew, and rounds of random perturbation.

1. *Repair.* Chains of moves, then clients that were moved choose anew, exactly; again while that helps.
2. *Perturb.* Some clients choose under prices with random errors. Repair the result, and keep it if it is no worse.
   The number of clients adapts: more after a success, fewer after a failure.

This is iterated local search; step 2 repeats for as long as it helps.
"""

from collections.abc import Iterator

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.numerics import BoolArray, FloatArray, IntArray, Number
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.interruptible import late
from alignsolve.runtime.jit import kernel
from alignsolve.solvers.greedy.state import (
    CAPACITY,
    DEMAND,
    FIXED,
    FREE,
    GROUP_CAPACITY,
    GROUP_DEMAND,
    GROUPS,
    HELD,
    LEAST,
    LOAD,
    MOST,
    PER_GROUP,
    SHUT,
    State,
    drop,
    gather,
    hold,
    load_of,
    penalty,
    take,
    to_alignment,
)
from alignsolve.solvers.lagrangian.move_chains import make_chains
from alignsolve.subproblem.dispatch import best_rows
from alignsolve.subproblem.knapsack_core import UNMET, solve_by_deviations, workspace

STEPS = 20_000
"""Most steps of the search for one row; the best row by then is used."""
ROWS = 100
"""Rows chosen anew between two looks at the clock."""
SWEEPS = 4
"""Most turns of chains and rows in one repair."""
FEWEST, MOST_DISTURBED = 2, 0.3
"""Clients of a perturbation: the fewest, and the largest share."""


class Perturbation:
    """An alignment under repair, with the prices that guide it.

    Attributes
    ----------
    state
        The alignment.
    unit
        (num_experts,) a typical load of each expert.
    made
        Chains made so far.
    """

    def __init__(
        self, problem: AlignmentProblem, prices: FloatArray, rng: np.random.Generator, deadline: float
    ) -> None:
        self.problem, self.prices, self.rng, self.deadline = problem, prices, rng, deadline
        self.state = gather(problem)
        allowed = self.state.status != SHUT
        self.unit = np.ones(problem.num_experts)
        if self.state.load.size:
            total = np.where(allowed, self.state.load, 0.0).sum(axis=0)
            self.unit = np.where(total > 0, total / np.maximum(allowed.sum(axis=0), 1), 1.0)
        self.scale = _scale(self.state)
        self.made = 0

    def begin(self, chosen: BoolArray) -> bool:
        """Start from the clients' choices and repair them; whether every bound holds in the end."""
        hold(self.state, np.arange(self.problem.num_clients), chosen)
        self._settle()
        return not self.state.broken.any()

    def alignment(self) -> Alignment:
        """The present alignment."""
        return to_alignment(self.state)

    def held(self) -> BoolArray:
        """The present alignment as a matrix, (num_clients, num_experts)."""
        held: BoolArray = (self.state.status == HELD) | (self.state.status == FIXED)
        return held

    def perturb(self, start: Alignment | None, objective: Number, rounds: int) -> Iterator[Alignment]:
        """Yield better and better alignments, until ``rounds`` in a row did not help or time is up."""
        if start is not None:
            hold(self.state, np.arange(self.problem.num_clients), start.to_dense(self.problem.num_experts))
        n = self.problem.num_clients
        share, vain, known = 0.05, 0, objective
        while vain < rounds and not late(self.deadline):
            number = int(np.clip(share * n, min(FEWEST, n), max(FEWEST, MOST_DISTURBED * n)))
            clients = np.sort(self.rng.choice(n, size=min(number, n), replace=False))
            before = self.state.status.copy()
            self._mislead(clients)
            self._settle()
            after = self._objective()
            vain += 1
            if self.state.broken.any() or after < known:
                hold(self.state, np.arange(n), before == HELD)
                share = max(0.8 * share, 1.0 / n)
            elif after > known + 1e-12 * abs(known):
                known, vain, share = after, 0, min(1.2 * share, MOST_DISTURBED)
                yield self.alignment()

    def _mislead(self, clients: IntArray) -> None:
        """Let some clients choose under prices with random errors."""
        block = self.problem.block(0, self.problem.num_clients).pick(clients)
        noise = self.rng.normal(0.0, 0.1 * self.scale, size=(len(clients), self.problem.num_experts))
        value = np.where(self.state.status[clients] == SHUT, 0.0, self.state.value[clients] + noise)
        optima = best_rows(block.valued(value), self.prices, choose=True)
        assert optima.chosen is not None
        hold(self.state, clients, optima.chosen)

    def _settle(self) -> None:
        """Step 1: chains, then rows, until neither helps."""
        touched = np.zeros(self.problem.num_clients, dtype=np.bool_)
        for _ in range(SWEEPS):
            made = make_chains(self.state, self.prices, self.unit, self.scale, touched, self.deadline)
            self.made += made
            if self.state.broken.any() or not self._choose_anew(np.flatnonzero(touched)):
                return
            touched[:] = False

    def _choose_anew(self, clients: IntArray) -> bool:
        """Let clients choose within the room that the others leave; whether any did better."""
        better = 0
        for start in range(0, len(clients), ROWS):
            if late(self.deadline):
                break
            better += choose_rows(self.state, clients[start : start + ROWS], 1e-12 * self.scale)
        return better > 0

    def _objective(self) -> float:
        """The objective of the present alignment."""
        held = (self.state.status == HELD) | (self.state.status == FIXED)
        value = float(np.where(held, self.state.value, 0.0).sum())
        return value - float(self.problem.experts.penalty(self.state.loads).sum())


def _scale(state: State) -> float:
    """The largest size of a value of an open pair."""
    largest = 0.0
    for start in range(0, len(state.status), 4096):
        rows = slice(start, start + 4096)
        open_ = state.status[rows] != SHUT
        largest = max(largest, float(np.abs(np.where(open_, state.value[rows], 0.0)).max(initial=0.0)))
    return largest or 1.0


@kernel
def choose_rows(s: State, clients: IntArray, tiny: float) -> int:
    """Let clients choose anew, one after the other, within the room that the others leave; return how many changed."""
    num_experts, num_resources = len(s.group), s.cost.shape[2]
    num_groups = (s.rows.shape[1] - GROUPS) // PER_GROUP
    space = workspace(num_experts, num_resources, num_groups)
    gain = np.empty(num_experts)
    open_ = np.empty(num_experts, dtype=np.bool_)
    kept = np.empty(num_experts, dtype=np.bool_)
    best = np.empty(num_experts, dtype=np.bool_)
    least = np.empty(num_groups, dtype=np.int64)
    most = np.empty(num_groups, dtype=np.int64)
    budget = np.empty(num_resources)
    changed = 0
    for i in clients:
        # Phase 1: what each expert would gain now, penalties included, and whether it may be taken or given up.
        now = 0.0
        for j in range(num_experts):
            load, carried = load_of(s, i, j), s.experts[j, LOAD]
            holds = s.status[i, j] == HELD or s.status[i, j] == FIXED
            without = carried - load if holds else carried
            open_[j] = holds or (s.status[i, j] == FREE and without + load <= s.experts[j, MOST])
            kept[j] = s.status[i, j] == FIXED or (holds and without < s.experts[j, LEAST])
            gain[j] = 0.0
            if open_[j]:
                gain[j] = s.value[i, j] - penalty(s.experts, j, without + load) + penalty(s.experts, j, without)
            best[j] = holds and not kept[j]
            if holds:
                now += gain[j]
        # Phase 2: the client's own problem, a knapsack, solved by deviations from its present row.
        for g in range(num_groups):
            most[g] = s.rows[i, GROUPS + PER_GROUP * g + GROUP_CAPACITY]
            least[g] = s.rows[i, GROUPS + PER_GROUP * g + GROUP_DEMAND]
        for r in range(num_resources):
            budget[r] = s.money[i, num_resources + r]
        _, status = solve_by_deviations(
            gain, open_, kept, s.cost[i], budget, s.rows[i, DEMAND], s.rows[i, CAPACITY], s.group, least, most, space,
            STEPS, best,
        )  # fmt: skip
        if status == UNMET:
            continue
        # Phase 3: change the row if it gains: drop first, then take.
        then = 0.0
        for j in range(num_experts):
            if best[j]:
                then += gain[j]
        if then <= now + tiny:
            continue
        changed += 1
        for j in range(num_experts):
            if s.status[i, j] == HELD and not best[j]:
                drop(s, i, j)
        for j in range(num_experts):
            if s.status[i, j] == FREE and best[j]:
                take(s, i, j)
    return changed
