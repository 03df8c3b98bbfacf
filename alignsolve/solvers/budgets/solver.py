"""``budgets``: rates on the clients' budgets, a min-cost flow for the rest, and alignments that keep the budgets.

Where experts are many and clients have budgets, a real model in bytes, the budgets are few constraints of each client
and the experts' bounds many. With a rate for each unit of a budget, and so a charge for each expert, what is left is a
flow. ``sift`` solves it exactly.

1. *Rates and prices.* A flow gives prices of experts. Under prices, each client's own problem gives the rates of its
   budgets (:mod:`alignsolve.subproblem.relaxed_rows`), and all of them together give a bound. The rates charge the
   next flow. By rates alone this would be slow: all rates could fall and all prices rise by a common amount. So in the
   flow a client takes a number of experts, as many as its budgets pay for at the mean cost of what it took last, and
   the charge is only what an expert costs more or less than that mean.
2. *Sizes* (:mod:`.by_size`). Where each group's experts cost the same, a client's budgets say how many
   experts of each size it may take. Then each size is a flow of its own, and the alignment keeps all budgets.
3. *Settle* (:mod:`.settle`). Elsewhere, clients choose within their budgets, portion by portion, and the flow of the
   others makes up for it; again in other sequences while there is time. Then clients change in pairs (:mod:`.pairs`).
   Where demands beside tight budgets leave nothing feasible, the greedy alignment is where the pairs begin.

The prices prove the bound. It is not exact: what whole experts leave of a budget is lost. The more experts a client
takes, the less that is.
"""

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.numerics import BoolArray, FloatArray, IntArray, fixed
from alignsolve.presolve.reduction import changed
from alignsolve.problem import AlignmentProblem, Feature
from alignsolve.runtime.interruptible import late
from alignsolve.runtime.threads import available_threads, map_in_order
from alignsolve.solver import EVERYTHING, Answer, Capabilities, ProgressHook, WarmStart
from alignsolve.solvers.budgets.by_size import align_by_size
from alignsolve.solvers.budgets.charges import inside, payable, times
from alignsolve.solvers.budgets.pairs import TURNS, Standing, change_in_pairs
from alignsolve.solvers.budgets.rated_flow import Flow, best_flow
from alignsolve.solvers.budgets.settle import REWARD, settle
from alignsolve.solvers.common.incumbent_search import IncumbentSearch
from alignsolve.solvers.common.warm_up import warm_up
from alignsolve.solvers.greedy.incumbent import GREEDY
from alignsolve.solvers.sift import Sift
from alignsolve.solvers.sift.flow_search import TimeUpError
from alignsolve.subproblem.reduced_fitness import subtract_prices
from alignsolve.subproblem.relaxed_rows import budget_rows, relax_rows
from alignsolve.subproblem.sized_rows import Sizes, size_rows, sizes_of

STEADY = 1e-6
"""Relative fall of the bound below which a round has brought nothing, and so many such rounds end step 1."""
VAIN = 2
FOR_PRICES, FOR_SIZES = 0.5, 0.9
"""Share of the time that step 1 may take, and the same where step 2 has found nothing yet."""
SHARED = 1 << 17
"""Pairs from which on threads share a pass."""
IN_PAIRS = 1 << 22
"""Pairs times the clients of an expert up to which clients change in pairs: with more, a look at all of them is long,
and the gap is small."""
AT_ONCE = 32
"""Clients that are asked between two looks at the clock."""
SEQUENCES = 4
"""Sequences in which clients settle; the best alignment counts."""


@dataclass(frozen=True)
class Budgets:
    """Rates on budgets and a flow for the rest: near-optimal, made for many experts and clients with budgets.

    Parameters
    ----------
    gap
        Relative gap at which the answer is good enough.
    rounds
        Most rounds of rates and prices.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> fitness, cost = [[3.0, 2.0], [2.0, 1.5]], [2.0, 1.0]
    >>> problem = AlignmentProblem(fitness, client_capacity=2, client_budget=[3.0, 2.0], expert_cost=cost)
    >>> solve(problem, solver=Budgets()).objective
    7.0
    """

    gap: float = 0.0
    rounds: int = 60

    capabilities: ClassVar[Capabilities] = Capabilities(takes=EVERYTHING - {Feature.WEIGHTED_LOADS}, presolve=True)

    def __call__(
        self,
        problem: AlignmentProblem,
        *,
        deadline: float,
        warm_start: WarmStart,
        seed: int,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> Answer:
        """Solve; the seed decides the sequences. A problem without budgets is a flow."""
        if problem.client_budget is None:
            return Sift()(
                problem, deadline=deadline, warm_start=warm_start, seed=seed, threads=threads, progress=progress
            )
        return _Search(self, problem, deadline, threads, progress).solve(warm_start, seed)

    def prepare(self, problem: AlignmentProblem) -> None:
        """Compile the search."""
        warm_up(self, problem)
        GREEDY.prepare(problem)
        if problem.client_budget is not None:
            _compile_changes()


@cache
def _compile_changes() -> None:
    """Compile the steps that a tiny problem does not need; cached, so that it happens once."""
    tiny = AlignmentProblem([[3.0, 2.0], [2.0, 1.5]], client_budget=[3.0, 2.0], expert_cost=[2.0, 1.0])
    search = _Search(Budgets(), tiny, math.inf, 1, None)
    search.change_in_pairs(Alignment.from_pairs([0, 1], [1, 1], 2))
    size_rows(search.rows, search.value, search.rate, Sizes(np.array([0, 1]), search.rows.cost[0]))


class _Search(IncumbentSearch):
    """One solution under way.

    Attributes
    ----------
    number
        (num_clients,) most experts of each client in the next flow.
    rate, mean
        (num_clients, num_resources) rates of the budgets, and the mean costs of what a client took last.
    prices, bound, best_rate
        The prices of the lowest bound, that bound, and the rates under these prices.
    flow_prices
        Those of the last flow; None before the first one.
    rounds, vain
        Rounds of step 1 so far, and how many of the last ones lowered the bound by nearly nothing.
    """

    def __init__(
        self,
        solver: Budgets,
        problem: AlignmentProblem,
        deadline: float,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> None:
        shared = available_threads(threads) if problem.num_clients * problem.num_experts >= SHARED else 1
        super().__init__(problem, solver.gap, shared, progress)
        self.solver, self.deadline = solver, deadline
        block = problem.block(0, problem.num_clients)
        assert block.budget is not None
        value = np.asarray(block.value, dtype=np.float64)
        self.value = np.ascontiguousarray(value if block.allowed is None else np.where(block.allowed, value, 0.0))
        self.rows = budget_rows(block, block.budget)
        self.rate = np.zeros(self.rows.budget.shape)
        self.mean = np.broadcast_to(self.rows.cost.mean(axis=1), self.rate.shape)
        able = payable(self.rows)
        if not able.all():
            self._without_others(able)
        self.number = self._affordable()
        self.prices: FloatArray = np.zeros(problem.num_experts)
        self.best_rate = self.rate
        self.flow_prices: FloatArray | None = None
        self.rounds, self.vain, self.began = 0, 0, time.monotonic()

    def _without_others(self, able: BoolArray) -> None:
        """Leave out experts that alone exceed a budget: a charge for them may be out of all proportion."""
        allowed = self.rows.allowed & able
        self.rows = self.rows._replace(allowed=fixed(allowed))
        self.problem = changed(self.problem, eligible=allowed)
        self.value = np.where(allowed, self.value, 0.0)
        paid = np.where(allowed[:, :, None], self.rows.cost, 0.0).sum(axis=1)
        self.mean = paid / np.maximum(allowed.sum(axis=1), 1)[:, None]

    def solve(self, warm_start: WarmStart, seed: int) -> Answer:
        """Take the steps of the module's docstring, as far as time allows."""
        self._keep(warm_start.alignment, "warm start")
        try:
            self.flow_prices = warm_start.prices
            for share in (FOR_PRICES, FOR_SIZES):
                answer = self._settle_prices(share)
                if answer is not None:
                    return answer
                # Prices far from the best ones share a budget out so wrongly that nothing fits: more rounds may help.
                if self._by_size() or self.settled:
                    break
            self._by_settling(np.random.default_rng(seed))
        except TimeUpError:
            self.stats["stopped"] = "the time limit came first"
        return Answer(self.alignment, self.prices if math.isfinite(self.bound) else None, stats=self.stats)

    def _settle_prices(self, share: float) -> Answer | None:
        """Step 1, until a share of the time is over; return an answer if the problem has no alignment."""
        if self.flow_prices is not None and not self.rounds:
            self._ask_clients(self.flow_prices)
        while not self.settled:
            spent, limit = time.monotonic() - self.began, self.deadline - self.began
            if self.rounds and spent * (self.rounds + 1) / self.rounds > share * limit:
                break
            flow = self._flow(self.flow_prices)
            if flow.alignment is None:
                return self._without_flow(flow)
            before, self.flow_prices = self.bound, flow.prices
            self._ask_clients(flow.prices)
            self.rounds += 1
            self.stats["rounds"] = self.rounds
            if self.bound == -math.inf:
                return Answer()
            self._count(flow.alignment)
            self._tell("prices")
            self.vain = self.vain + 1 if self.bound > before - STEADY * abs(before) else 0
        return None

    @property
    def settled(self) -> bool:
        """Whether more rounds of step 1 would bring nothing, or may not be taken."""
        return self.vain == VAIN or self.rounds == self.solver.rounds

    def _flow(self, prices: FloatArray | None) -> Flow:
        """The flow at the present rates: a client's place is worth its mean charge, a dearer expert less."""
        value = self._charged(self.rate)
        flow = best_flow(self.problem, value, self.number, prices, self.deadline)
        if flow.alignment is None:
            # Fewer experts than the budgets allow in truth may be too few for the experts' demands.
            room = self.rows.room.astype(np.int64)
            flow = best_flow(self.problem, value, room, prices, self.deadline, explain=True)
        return flow

    def _charged(self, rate: FloatArray) -> FloatArray:
        """(num_clients, num_experts) values less what experts cost more than the mean, at some rates."""
        if not rate.any():
            return self.value
        with np.errstate(over="ignore", invalid="ignore"):  # for what is not allowed
            charge = times(self.rows.cost, rate) - (self.mean * rate).sum(axis=1)[:, None]
        return self.value - np.where(self.rows.allowed, charge, 0.0)

    def _without_flow(self, flow: Flow) -> Answer:
        """Answer where not even a flow without budgets meets the hard bounds."""
        stopped = {} if flow.witness else {"stopped": "the experts' hard bounds cannot be met"}
        return Answer(self.alignment, flow.prices, witness=flow.witness, stats={**self.stats, **stopped})

    def _ask_clients(self, prices: FloatArray) -> None:
        """Each client's own problem under prices: rates and a bound, kept if it is the lowest."""
        problem, rate = self.problem, self.rate.copy()
        prices = problem.experts.project(prices)

        def ask(own: slice) -> FloatArray:
            parts = []
            for first in range(own.start, own.stop, AT_ONCE):
                if late(self.deadline):
                    raise TimeUpError
                some = slice(first, min(first + AT_ONCE, own.stop))
                worth = subtract_prices(self.value[some], prices)
                parts.append(relax_rows(self.rows.pick(some), worth, rate[some], choose=False).bound)
            return np.concatenate(parts) if parts else np.zeros(0)

        bound = math.fsum(np.concatenate([*self._share(ask), problem.experts.conjugate(prices)]))
        self.rate = rate
        if bound < self.bound:
            self.bound, self.prices, self.best_rate = bound, prices, rate

    def _count(self, alignment: Alignment) -> None:
        """Learn from an alignment what experts cost a client on average, and how many it can pay."""
        taken = np.diff(alignment.indptr)
        self.mean = np.where(taken[:, None] > 0, self._used(alignment) / np.maximum(taken, 1)[:, None], self.mean)
        self.number = self._affordable()

    def _affordable(self) -> IntArray:
        """How many experts of mean cost each client can pay, within the bounds of its row."""
        rows = self.rows
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            each = np.where(self.mean > 0.0, rows.budget / self.mean, np.inf)
        number = np.floor(np.minimum(each.min(axis=1), rows.room) + 0.5).astype(np.int64)
        own = rows.required.sum(axis=1)
        least = np.maximum(np.maximum(rows.demand, own), np.maximum(rows.least, inside(rows)).sum(axis=1))
        return np.minimum(np.maximum(number, least), rows.room)

    def _used(self, alignment: Alignment) -> FloatArray:
        """What each client uses, (num_clients, num_resources)."""
        clients, experts = alignment.clients(), alignment.experts
        cost = self.rows.cost[clients if len(self.rows.cost) > 1 else 0, experts]
        used = np.zeros(self.rate.shape)
        np.add.at(used, clients, cost)
        return used

    def _by_size(self) -> bool:
        """Step 2, where it applies; return whether better prices would not help: it found something, or cannot."""
        sizes = sizes_of(self.rows)
        if sizes is None or self._good_enough():
            return True
        numbers = self._numbers(sizes)
        alignment = align_by_size(self.problem, self.value, numbers, sizes, self.prices, self.deadline)
        self._keep(alignment, "sizes")
        return alignment is not None

    def _numbers(self, sizes: Sizes) -> IntArray:
        """How many experts of each size each client takes, (num_clients, num_sizes)."""

        def ask(own: slice) -> IntArray:
            worth = subtract_prices(self.value[own], self.prices)
            return size_rows(self.rows.pick(own), worth, self.best_rate[own], sizes).numbers

        return np.concatenate(self._share(ask))

    def _share(self, ask: Callable[[slice], Any]) -> list[Any]:
        """Let each thread ask some clients; return the answers in their order."""
        threads = available_threads(self.threads)
        cuts = np.linspace(0, self.problem.num_clients, threads + 1).astype(np.int64)
        own = [slice(*ends) for ends in itertools.pairwise(cuts)]
        return list(map_in_order(ask, own, threads))

    def _by_settling(self, rng: np.random.Generator) -> None:
        """Step 3; pairs change in what step 2 made, too."""
        if self.alignment is not None and self.stats.get("found_by") == "sizes":
            if self._is_small() and not self._good_enough():
                self.change_in_pairs(self.alignment)
            return
        number, mean = self.number, self.mean
        for _ in range(SEQUENCES):
            if self._good_enough():
                return
            self.number, self.mean = number, mean
            sequence = rng.permutation(self.problem.num_clients)
            settled = settle(
                self.problem, self.value, self.rows, self.prices, self.best_rate, self._next_flow, sequence
            )
            self._keep(settled, "settling")
            if self.alignment is None:
                self._by_greed()
            elif self._is_small():
                self.change_in_pairs(settled)

    def _is_small(self) -> bool:
        """Whether clients may change in pairs."""
        served = max(float(np.minimum(self.number, self.problem.num_experts).sum()), 1.0)
        return self.problem.num_clients * served <= IN_PAIRS

    def _by_greed(self) -> None:
        """Where nothing was found: greed mends what tight budgets beside demands leave undone."""
        warm = WarmStart(prices=self.prices)
        answer = GREEDY(
            self.problem, deadline=self.deadline, warm_start=warm, seed=0, threads=self.threads, progress=None
        )
        if isinstance(answer.x, Alignment):
            self._keep(answer.x, "greed")
            if self._is_small():
                self.change_in_pairs(answer.x)

    def _next_flow(self, rest: AlignmentProblem, settled: BoolArray, prices: FloatArray, rate: FloatArray) -> Flow:
        """The flow of the clients that have not settled."""
        number = np.where(settled, 0, self.number)
        flow = best_flow(rest, self._charged(rate), number, prices, self.deadline)
        if flow.alignment is not None:
            self._count(flow.alignment)
        return flow

    def _standing(self, alignment: Alignment) -> Standing:
        """An alignment, ready to be changed: it keeps hard bounds, and soft ones where it does not break them yet."""
        problem, rows = self.problem, self.rows
        held = alignment.to_dense(problem.num_experts)
        load, bounds = held.sum(axis=0).astype(np.float64), problem.experts
        count = np.add.reduceat(held[:, rows.order], np.minimum(rows.first[:-1], len(rows.order) - 1), axis=1)
        count = np.where(np.diff(rows.first) > 0, count, 0).astype(np.int64)
        # Whole numbers: between 1 and a demand of 1.5 an expert would be given up and taken, for its reward, for ever.
        least = np.maximum(bounds.least, np.minimum(np.ceil(bounds.demand), load))
        most = np.minimum(bounds.most, np.maximum(np.floor(bounds.capacity), load))
        return Standing(held, load, least, most, self._used(alignment), count, held.sum(axis=1))

    def change_in_pairs(self, alignment: Alignment) -> None:
        """Let clients change in pairs until that gains nothing; the clock is looked at after each change."""
        rows, n, standing = self.rows, self.problem.num_clients, self._standing(alignment)
        largest = max(float(np.abs(self.value).max(initial=0.0)), 1e-300)
        fields = (rows.allowed, rows.required, rows.cost, rows.budget, rows.group, rows.least, rows.most)
        gained = math.inf
        while gained > 0.0:
            gained, i, turns = 0.0, 0, 0
            while i < n:
                if late(self.deadline):
                    self.stats["stopped"] = "the time limit came first"
                    break
                more = change_in_pairs(
                    self.value, self.prices, *fields, rows.demand, rows.room, self.best_rate, standing, i,
                    REWARD * largest, 1e-9 * largest,
                )  # fmt: skip
                gained, turns = gained + more, turns + 1
                if more == 0.0 or turns == TURNS:
                    i, turns = i + 1, 0
        clients, experts = np.nonzero(standing.held)
        self._keep(
            Alignment.from_pairs(clients, experts, n),
            f"{self.stats.get('found_by', 'settling').partition(',')[0]}, changes in pairs",
        )
