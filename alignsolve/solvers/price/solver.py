"""``price``: sample → price → core → augment, on larger and larger samples and at last on all clients; exact.

With many clients and few experts the dual problem is small: it has one price for each expert. At the right prices
nearly every client has one best choice. Only the few clients that waver have to be shared out so that the loads fit.

1. *Sample.* Solve a small sample of the clients with bounds scaled down. Its prices are nearly right for a larger
   sample. If the first prices leave hardly any load out of place, no sample could better them, and none is solved.
2. *Price* (:mod:`.pricing`). One pass over the clients finds everyone's best choice at the prices, and its margin: by
   how much it beats every other choice.
3. *Core* (:mod:`.window`, :mod:`.core`). Clients with a margin within a window δ waver. Keep them, with the experts
   between which they waver.
4. *Augment* (:mod:`.round`, :mod:`.augment`). Share the core out by shortest paths; the prices move a little.
5. If no two prices drifted apart by more than δ, no client outside the core can want to change. So the optimum of the
   core is the optimum of all, and the prices prove it. Else go back to step 2 from the better prices.

The search computes in whole quanta (:mod:`.precision`): integers as they are, floats relative to the core's own small
numbers, so that a fitness of 1e9 somewhere does not blur the rest. The front door certifies the result on the
original numbers.

Sources: sampling and the core follow the practice of large transportation problems with few sinks; T. Tokuyama and J.
Nakano, SIAM J. Comput. 24 (1995), and U. Brenner, Oper. Res. Lett. 36 (2008), treat the exact algorithms.
"""

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from alignsolve.certificate.witness import contradiction, from_direction
from alignsolve.data.expert_sets import Prices
from alignsolve.data.features import Feature
from alignsolve.data.watched import LateError
from alignsolve.numerics import BoolArray, FloatArray, RealArray
from alignsolve.runtime.interruptible import late
from alignsolve.solver import CARDINALITY, Answer, Capabilities, Progress, ProgressHook, WarmStart
from alignsolve.solvers.common.sample import Sample
from alignsolve.solvers.common.warm_up import warm_up
from alignsolve.solvers.price.assemble import assemble
from alignsolve.solvers.price.engine_numba import NumbaEngine
from alignsolve.solvers.price.precision import Precision, grain_of
from alignsolve.solvers.price.pricing import Engine, Pass
from alignsolve.solvers.price.round import Round
from alignsolve.solvers.price.side import Side
from alignsolve.solvers.price.stop import Stop
from alignsolve.solvers.price.window import CoreWindow, is_small

if TYPE_CHECKING:
    from alignsolve.problem import AlignmentProblem

LITTLE = 8
"""Units of load for each expert that may be out of place before a sample is worth its time."""
TABLE_PAIRS = 1 << 20
"""Most pairs of a core that is kept as a table, and of the sample that is looked at first."""
FEWEST = 64
"""Clients of a sample, at least: two clients for two experts would tell nothing."""
SAMPLE_ROUNDS = 6
"""Most rounds on a sample: its prices need not be exact."""

MOST_REFINEMENTS = 4
"""Most rounds after the first on all clients. Each makes the quanta finer by many binary digits; more rounds cannot
help."""


@dataclass(frozen=True)
class Price:
    """Exact solver of the cardinality class by expert prices.

    Parameters
    ----------
    engine
        The engine that reads the large data.
    direct_clients
        Number of clients up to which no smaller sample is solved first.
    growth
        Size of each sample, in multiples of the one before.
    clients_per_expert
        Clients of the smallest sample for each expert, if there are many experts.
    safety
        Width of a window, in multiples of the drift that the last sample lets expect.
    core_per_unit
        After a warm start the drift is unknown: the core clients to take for each unit of load that is out of place
        under the given prices.
    table_pairs
        Number of pairs up to which all are taken into the core, as a table; a larger core is kept in heaps.
    core_share
        Largest share of all clients in a window that is only expected. If it proves too narrow, little is left to do
        for the next round.
    most_moves
        Most moves that the core may offer before some candidates are left out. Where all clients tie, few are needed.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> problem = AlignmentProblem([[0.7, 0.2], [0.6, 0.5]], expert_capacity=1)
    >>> solve(problem, solver=Price()).x.tolist()
    [[True, False], [False, True]]
    """

    engine: Engine = field(default_factory=NumbaEngine)
    direct_clients: int = 200
    growth: int = 8
    clients_per_expert: int = 1
    safety: float = 1.3
    core_per_unit: float = 40.0
    table_pairs: int = TABLE_PAIRS
    core_share: float = 0.45
    most_moves: int = 1 << 21

    capabilities: ClassVar[Capabilities] = Capabilities(
        takes=CARDINALITY | {Feature.EXPERT_SETS}, exact=True, presolve=True
    )

    def __call__(
        self,
        problem: "AlignmentProblem",
        *,
        deadline: float,
        warm_start: WarmStart,
        seed: int,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> Answer:
        """Solve; the seed is not needed."""
        crossed = problem.experts.least > problem.experts.most
        if crossed.any():
            return Answer(witness=from_direction(problem, -crossed.astype(np.float64)))
        if problem.sets is not None and (problem.sets.bounds.least > problem.sets.bounds.most).any():
            return Answer(witness=contradiction(problem))
        solution = _Solution(self, problem, deadline, threads, progress)
        try:
            return solution.solve(warm_start)
        except LateError as error:
            return replace(solution.incumbent, stats={**solution.incumbent.stats, "stopped": str(error)})

    def prepare(self, problem: "AlignmentProblem") -> None:
        """Compile the code for problems with this type of fitness."""
        warm_up(self, problem)
        # A large core, or one with few moves for its clients, is kept in heaps.
        warm_up(replace(self, table_pairs=0), problem)


class _Solution:
    """One solution under way."""

    def __init__(
        self,
        solver: Price,
        problem: "AlignmentProblem",
        deadline: float,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> None:
        self.solver, self.problem, self.deadline, self.threads = solver, problem, deadline, threads
        self.progress = progress
        self.started = time.monotonic()
        self.side = Side.of(problem)
        self.potentials: RealArray = np.zeros(problem.num_sets)
        self.incumbent = Answer()
        self.rounds = 0
        self.most_moves = solver.most_moves
        self.grain = 0.0
        self.refining = False
        self.searches = 0
        self.drift: tuple[float, int] | None = None
        self.looked: Pass | None = None

    def solve(self, warm_start: WarmStart) -> Answer:
        """Find prices on smaller samples, then solve for all clients."""
        self.incumbent = Answer(warm_start.alignment)
        prices = self._first_prices(warm_start)
        few = self.problem.num_clients <= self.solver.direct_clients
        direct = few or self._are_nearly_right(prices, known=warm_start.prices is not None)
        strides = [1] if direct else list(self._strides())
        for stride in strides[:-1]:
            prices = self._price_sample(Sample(self.problem, stride), prices, first=stride == strides[0])
        return self._price_all(Sample(self.problem, 1), prices)

    def _are_nearly_right(self, prices: RealArray, *, known: bool) -> bool:
        """Whether so little load is out of place at these prices that samples could not better them; a sample tells.

        Known prices were right for some problem. Load that a sample has out of place by chance alone is not counted
        for them.
        """
        stride = 1
        while not is_small(sample := Sample(self.problem, stride), TABLE_PAIRS):
            stride *= self.solver.growth
        self.looked = Pass.run(sample, self.solver.engine, prices, self.threads)
        by_chance = math.sqrt(len(prices) * self.looked.loads.sum()) if known and stride > 1 else 0.0
        misplaced = self._scaled(sample).misplaced(prices, self.potentials, self.looked.loads)
        return stride * (misplaced - by_chance) <= LITTLE * len(prices)

    def _first_prices(self, warm_start: WarmStart) -> RealArray:
        """The warm start's prices or 0, within the experts' boxes; whole numbers for an integral problem."""
        known = np.zeros(self.problem.num_experts) if warm_start.prices is None else warm_start.prices
        given = Prices.projected(self.problem, known)
        prices, self.potentials = given.paid, self.side.potentials(given)
        if not self.problem.integral:
            return prices
        self.potentials = np.rint(self.potentials).astype(np.int64)
        return np.rint(prices).astype(np.int64)

    def _strides(self) -> Iterator[int]:
        """Sampling strides, from the smallest sample to all clients; the last one is 1."""
        smallest = max(FEWEST, self.solver.clients_per_expert * self.problem.num_experts)
        levels = math.log(max(1.0, self.problem.num_clients / max(1, smallest)), self.solver.growth)
        for level in range(math.floor(levels), -1, -1):
            yield self.solver.growth**level

    def _price_sample(self, sample: Sample, prices: RealArray, *, first: bool) -> RealArray:
        """Return nearly optimal prices of a sample; a sample may be infeasible where the whole problem is not."""
        side = self._scaled(sample)
        window, before = self._expected_drift(sample), prices
        for _ in range(SAMPLE_ROUNDS):
            if late(self.deadline):
                break
            ended = self._round(sample, side, prices, window, forgiving=True)
            prices = ended.prices
            if ended.stop is Stop.DONE and ended.valid:
                break
            window = ended.wider
        drift = (prices - before).astype(np.float64)
        if not first:
            self.drift = float(np.ptp(drift)), sample.num_clients
        return prices

    def _scaled(self, sample: Sample) -> Side:
        """The bounds and penalties of experts and sets, scaled down to a sample."""
        return self.side.scaled(sample.num_clients / max(1, self.problem.num_clients))

    def _expected_drift(self, sample: Sample) -> Any:
        """Return how far prices should drift on this sample: it shrinks as the root of the sample's size grows."""
        if self.drift is None:
            return None
        drift, clients = self.drift
        return self.solver.safety * drift * math.sqrt(clients / sample.num_clients)

    def _price_all(self, sample: Sample, prices: RealArray) -> Answer:
        """Rounds with all clients, each with finer quanta from better prices, until one is exact."""
        window = self._expected_drift(sample)
        for refined in itertools.count():
            ended = self._settle_all(sample, prices, window)
            if not isinstance(ended, Round):
                return ended
            self.incumbent = self._answer(ended)
            if ended.exact or refined == MOST_REFINEMENTS:
                break
            prices, window, self.refining = ended.prices, ended.blur, True
        return self.incumbent

    def _settle_all(self, sample: Sample, prices: RealArray, window: Any) -> Round | Answer:
        """Rounds with all clients, each with a wider window or better prices, until one leaves nothing to move.

        Returns that round, or the answer where there is none: a witness, or the incumbent at the deadline.
        """
        drifts = 0
        while True:
            ended = self._round(sample, self.side, prices, window, expected=drifts == 0)
            if ended.stop is Stop.DONE and ended.valid:
                return ended
            drifts += ended.stop is Stop.DRIFTED
            # The guess of the remaining drift is trusted once.
            prices, window = ended.prices, ended.wider if drifts <= 1 else max(ended.wider, 2 * ended.window)
            if ended.stop is Stop.DONE:
                self.incumbent = self._answer(ended)
            if ended.stop is Stop.STUCK:
                witness = from_direction(self.problem, self._direction(ended.reached))
                if witness is not None:
                    return Answer(witness=witness)
                if ended.took_everything:
                    return Answer(stats={"stopped": "neither an alignment nor a witness that there is none was found"})
                window = 4 * ended.wider
            if ended.stop is Stop.LATE or late(self.deadline):
                return self._late(ended)
            self.most_moves *= 2

    def _round(
        self,
        sample: Sample,
        side: Side,
        prices: RealArray,
        window: Any,
        *,
        forgiving: bool = False,
        expected: bool = False,
    ) -> Round:
        """Play one round: price, take the core, augment."""
        self.rounds += 1
        priced = self._priced(sample, prices)
        if self.progress is not None:
            self.progress(Progress(f"price {sample.num_clients} clients", time.monotonic() - self.started))
        precision = Precision(priced, side.nodes, finest=self.refining)
        core_window = CoreWindow(
            priced,
            side.misplaced(prices, self.potentials, priced.loads),
            precision,
            wanted=window,
            core_per_unit=self.solver.core_per_unit,
            table_pairs=self.solver.table_pairs,
            most_moves=self.most_moves,
            most_share=self.solver.core_share if expected else 1.0,
        )
        ended = Round(precision, core_window, side, self.potentials)
        ended.run(self.deadline, forgiving=forgiving)
        self.potentials = ended.potentials
        self.searches += ended.searches
        self.grain = grain_of(precision.resolution)
        return ended

    def _priced(self, sample: Sample, prices: RealArray) -> Pass:
        """Price the clients, unless the first look has done it."""
        looked = self.looked
        if looked is not None and looked.prices is prices and looked.sample.stride == sample.stride:
            return looked
        return Pass.run(sample, self.solver.engine, prices, self.threads, 0.0 if self.refining else self.grain)

    def _direction(self, reached: BoolArray) -> FloatArray:
        """Return a direction in which the bound falls without end: up for the reached experts, or down for the rest."""
        e = self.problem.num_experts
        up = reached.astype(np.float64) - float(reached[e])
        return self.side.joint(up[:e], up[e + 1 :])

    def _answer(self, ended: Round) -> Answer:
        """Put the answer together from a round."""
        alignment = assemble(ended.priced.chunks, ended.rows, ended.core)
        stats: dict[str, Any] = {"rounds": self.rounds, "core": len(ended.rows.client), "searches": self.searches}
        stats["solver_seconds"] = time.monotonic() - self.started
        return Answer(alignment, self.side.joint(ended.prices, ended.potentials), stats=stats)

    def _late(self, ended: Round) -> Answer:
        """Return a feasible answer at the deadline: the round's, or an earlier one."""
        if self.incumbent.x is None and ended.feasible:
            self.incumbent = self._answer(ended)
        return self.incumbent
