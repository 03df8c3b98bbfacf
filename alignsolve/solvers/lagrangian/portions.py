"""From prices to an alignment of many clients in one pass: they choose portion by portion, each smaller.

1. Half of the clients, spread evenly, choose under good prices. The loads of all choices nearly meet the experts'
   bounds.
2. Their loads tell the loads of the rest. The curvature tells by how much other prices make the rest meet the bounds
   that are left. A quarter of the clients chooses under those prices, and so on: each portion makes up for the bounds
   that the one before missed.
3. The last few clients are a small problem of their own, with its own best prices, and with chains of moves until
   every bound holds.
4. If the earlier portions put too much load on an expert, some of its clients choose again with the last portion. If
   the last portion is too small to succeed, the portion before chooses again with it.
"""

import contextlib
import itertools
import math
import time
from functools import cache

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.numerics import FEASIBILITY, BoolArray, FloatArray, IntArray
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.interruptible import late
from alignsolve.solvers.common.sample import MIX
from alignsolve.solvers.common.warm_up import Kind, tiny_problems
from alignsolve.solvers.lagrangian.clients import ClientChunks, LateError
from alignsolve.solvers.lagrangian.multigrid import Prices
from alignsolve.solvers.lagrangian.newton import Descent, model_lowest
from alignsolve.solvers.lagrangian.perturbation import Perturbation, choose_rows

HALVINGS = 5
"""Most portions before the last."""
FEWEST, FEWEST_EACH = 2048, 32
"""Clients of the last portion, at least: in all, and for each expert."""
PIECE_ENTRIES = 1 << 22
"""Pairs copied at a time."""
PASSES = 10
"""Most passes in search of the last portion's prices."""
SETTLED = 1e-6
"""These prices are settled when the expected fall is below this share of the bound of all clients."""
RELEASED = 4.0
"""Load that is taken off an overloaded expert, in multiples of its overload."""
SHARE = 0.4
"""Share of the time left for the last portion's prices."""


def choose_in_portions(
    problem: AlignmentProblem, found: Prices, rng: np.random.Generator, *, deadline: float, threads: int | None
) -> Alignment | None:
    """Make an alignment; None if the deadline came first, or the experts' bounds could not be met.

    Parameters
    ----------
    problem
        Of many clients.
    found
        The prices to use (``guess``), and the curvature.
    rng
        For the repair of the last portion.
    deadline
        On the clock of :func:`time.monotonic`.
    threads
        As in :class:`~alignsolve.solver.Solver`.
    """
    choice = _PortionedChoice(problem, found, threads, deadline)
    with contextlib.suppress(LateError):
        for clients in choice.portions[:-1]:
            choice.choose(clients)
        for later in range(len(choice.portions) - 1, -1, -1):
            clients = np.sort(np.concatenate(choice.portions[later:]))
            if not late(deadline) and choice.settle(clients, rng):
                return Alignment.from_dense(choice.chosen)
    return None


@cache
def warm_up_portions(kind: Kind) -> None:
    """Compile the code of portions, which tiny problems are too small to use by themselves."""
    for problem in tiny_problems(kind):
        nothing = np.zeros(problem.num_experts)
        found = Prices(nothing, nothing, falls=np.eye(problem.num_experts))
        choose_in_portions(problem, found, np.random.default_rng(0), deadline=math.inf, threads=1)
        perturbation = Perturbation(problem, nothing, np.random.default_rng(0), math.inf)
        choose_rows(perturbation.state, np.zeros(0, dtype=np.int64), 0.0)


class _PortionedChoice:
    """The choices so far, and their loads."""

    def __init__(self, problem: AlignmentProblem, found: Prices, threads: int | None, deadline: float) -> None:
        self.problem, self.threads, self.deadline = problem, threads, deadline
        self.falls, self.prices = found.falls, found.guess
        self.portions = portions(problem.num_clients, max(FEWEST, FEWEST_EACH * problem.num_experts))
        self.chosen: BoolArray = np.zeros(problem.shape, dtype=np.bool_)
        self.loads = np.zeros(problem.num_experts)
        self.left = problem.num_clients

    def choose(self, clients: IntArray) -> None:
        """Steps 1 and 2: let a portion choose, and adapt the prices for the rest."""
        loads = np.zeros(self.problem.num_experts)
        pieces = max(1, len(clients) * self.problem.num_experts // PIECE_ENTRIES)
        for piece in np.array_split(clients, pieces):
            some = ClientChunks.picked(self.problem, piece, self.threads, self.deadline)
            chosen = np.empty((len(piece), self.problem.num_experts), dtype=np.bool_)
            loads += some.respond(self.prices, chosen)[1]
            self.chosen[piece] = chosen
        self.loads += loads
        self.left -= len(clients)
        if self.falls is not None:
            expected = loads * (self.left / len(clients))
            falls = self.falls * (self.left / self.problem.num_clients)
            self.prices = model_lowest(self.problem.experts, self.loads, self.prices, expected, falls)

    def settle(self, clients: IntArray, rng: np.random.Generator) -> bool:
        """Step 3: solve the problem of the last clients, given the others' loads; whether every bound holds."""
        again = self._holders_of_too_much(clients)
        clients = np.union1d(clients, again) if len(again) else clients
        others = self.loads - self._carried(clients)
        part = _part(self.problem, clients, others)
        if part is None:
            return False
        everyone = ClientChunks.of(part, 1, self.threads, self.deadline)
        now = time.monotonic()
        soon = self.deadline if math.isinf(self.deadline) else now + SHARE * (self.deadline - now)
        prices = part.experts.project(self.prices)
        if self.falls is not None:
            share = len(clients) / self.problem.num_clients
            descent = Descent(part, everyone, prices, self.falls * share)
            descent.run(PASSES, SETTLED / share, soon)
            prices = descent.best
        chosen = np.empty(part.shape, dtype=np.bool_)
        everyone.respond(prices, chosen)
        perturbation = Perturbation(part, prices, rng, self.deadline)
        if not perturbation.begin(chosen):
            return False
        self.chosen[clients] = perturbation.held()
        return True

    def _holders_of_too_much(self, last: IntArray) -> IntArray:
        """Step 4: clients of experts that the earlier portions overload, evenly spread, no more than needed."""
        carried = self.loads - self._carried(last)
        overfilled = _overfilled(self.problem, carried)
        if not overfilled.any():
            return last[:0]
        excess = carried - self.problem.experts.most
        before = np.ones(self.problem.num_clients, dtype=np.bool_)
        before[last] = False
        found = []
        for j in np.flatnonzero(overfilled):
            holders = np.flatnonzero(self.chosen[:, j] & before)
            holders = holders[np.argsort(holders * MIX % (1 << 32), kind="stable")]
            loads = np.ones(len(holders)) if self.problem.client_load is None else self.problem.client_load[holders, j]
            found.append(holders[: np.searchsorted(np.cumsum(loads), RELEASED * excess[j]) + 1])
        return np.concatenate(found)

    def _carried(self, clients: IntArray) -> FloatArray:
        """The loads of some clients' choices, (num_experts,)."""
        chosen = self.chosen[clients]
        if self.problem.client_load is None:
            return chosen.sum(axis=0).astype(np.float64)
        loads: FloatArray = np.where(chosen, self.problem.client_load[clients], 0.0).sum(axis=0)
        return loads


def portions(num_clients: int, fewest: int) -> list[IntArray]:
    """Cut all clients into portions, each half of the rest and at least ``fewest``: evenly spread, ascending."""
    halvings = max(0, min(HALVINGS, int(math.log2(max(1.0, num_clients / fewest)))))
    slots = 1 << halvings
    clients = np.arange(num_clients, dtype=np.int64)
    turn = (clients + (clients // slots * MIX >> 8)) % slots
    ends = [0, *(slots - (slots >> halving) for halving in range(1, halvings + 1)), slots]
    found = [clients[(turn >= first) & (turn < stop)] for first, stop in itertools.pairwise(ends)]
    return [portion for portion in found if len(portion)]


def _overfilled(problem: AlignmentProblem, carried: FloatArray) -> BoolArray:
    """The experts for which this load is too much, (num_experts,)."""
    too_much: BoolArray = carried > problem.experts.most + FEASIBILITY * carried
    return too_much


def _part(problem: AlignmentProblem, clients: IntArray, carried: FloatArray) -> AlignmentProblem | None:
    """The problem of some clients, with the others' loads taken off the bounds; None if those are too much already."""
    if _overfilled(problem, carried).any():
        return None
    block = problem.pick(clients)
    return AlignmentProblem(
        block.value,
        client_capacity=block.capacity,
        client_demand=block.demand,
        expert_capacity=np.maximum(problem.expert_capacity - carried, 0.0),
        expert_demand=np.maximum(problem.expert_demand - carried, 0.0),
        eligible=block.allowed,
        required=block.required,
        expert_group=block.group,
        group_capacity=block.group_capacity,
        group_demand=block.group_demand,
        client_load=block.load,
        client_budget=block.budget,
        expert_cost=block.cost,
        overload_penalty=problem.overload_penalty,
        shortfall_penalty=problem.shortfall_penalty,
    )
