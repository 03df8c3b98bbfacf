"""The aligner: the loop of a federated run (estimate, solve, observe), with an explicit state that the caller keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from alignsolve.estimate import checks
from alignsolve.estimate import state as states
from alignsolve.estimate.capacity import CapacityProfiler
from alignsolve.estimate.estimator import (
    BudgetEstimator,
    CapacityEstimator,
    EstimatorState,
    FitnessEstimator,
    LoadEstimator,
    SwitchingEstimator,
)
from alignsolve.estimate.fitness import LossFitness
from alignsolve.estimate.layered import LayeredFitness, LayeredLoad, check_layers
from alignsolve.estimate.limits import client_limits
from alignsolve.estimate.load import LoadBounds, LoadMonitor
from alignsolve.estimate.privacy import Ledger, Privacy
from alignsolve.estimate.report import Report
from alignsolve.front import resolve, solve
from alignsolve.numerics import FEASIBILITY, FloatArray, IntArray
from alignsolve.problem import AlignmentProblem
from alignsolve.solution import Solution
from alignsolve.solver import Solver, WarmStart

PRIVACY = 7
"""Key of the random numbers for privacy noise, which must differ from those that break ties."""
ESTIMATORS = ("fitness", "load", "capacity", "budget", "switching")


@dataclass(frozen=True, eq=False)
class AlignerState:
    """Everything that an aligner knows between two rounds. The value is never changed; each step returns a new one.

    Attributes
    ----------
    num_clients, num_experts
        Number of clients and of experts; :meth:`grow` adds clients.
    seed
        Seed of all random numbers (ties, estimators); seed and ``round`` fix the random numbers of a round.
    round
        Number of rounds aligned so far.
    clipped_rounds
        Number of rounds in which the cohort could not supply the loads that the load estimator asked for.
    softened_rounds
        Number of rounds whose alignment broke a soft load bound.
    prices
        (num_experts,) prices of the last round, the start of the next; all 0 until a solver has returned prices.
    fitness, load, capacity, budget, switching
        States of the estimators.
    privacy
        How often each client's reports were released, if privacy noise is used.
    """

    num_clients: int
    num_experts: int
    seed: int
    round: int
    clipped_rounds: int
    softened_rounds: int
    prices: FloatArray
    fitness: EstimatorState
    load: EstimatorState
    capacity: EstimatorState
    budget: EstimatorState = field(default_factory=states.NoState)
    switching: EstimatorState = field(default_factory=states.NoState)
    privacy: Ledger | states.NoState = field(default_factory=states.NoState)

    def grow(self, num_clients: int) -> "AlignerState":
        """Return a copy with room for clients that joined; ``num_clients`` is the new total.

        Raises
        ------
        ValueError
            If ``num_clients`` is below the present number.
        """
        if num_clients < self.num_clients:
            raise ValueError(
                f"cannot grow from {self.num_clients} clients to {num_clients}: clients are never forgotten"
            )
        parts = {field: getattr(self, field).grow(num_clients) for field in (*ESTIMATORS, "privacy")}
        return replace(self, num_clients=num_clients, **parts)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the state as named arrays for a checkpoint; :meth:`Aligner.from_arrays` reads them."""
        return states.to_arrays(self)


@dataclass(frozen=True)
class Aligner:
    """Decides, round by round, which client trains which expert.

    Parameters
    ----------
    fitness, load, capacity
        Estimators (:mod:`alignsolve.estimate`).
    solver
        As in :func:`alignsolve.solve`. If the solver has a parameter ``round``, the round's number is added to it.
    time_limit
        Seconds per round; None: no limit.
    tie_break
        Largest seeded noise added to the fitness. It breaks ties, which would otherwise always favour low indices, as
        in the first round. It should be far below any relevant difference in fitness; 0 turns it off.
    budget
        Estimator of the clients' budgets, such as :class:`~alignsolve.TimeBudget`; None: no budgets. A client that
        cannot pay for the common demand gets fewer experts.
    switching
        Estimator of the cost of fetching experts, such as :class:`~alignsolve.SwitchingCost`; None: no cost.
    layers
        Number of experts of each MoE layer. The layers stand side by side and are estimated layer by layer. Every
        client gets an expert of every layer, or none at all if its capacity is too small. Capacities count all layers
        together. None: one layer, without this demand.
    privacy
        Noise that clients add to their reports; None: no noise.

    Examples
    --------
    >>> aligner = Aligner(capacity=CapacityProfiler(client_capacity=[1, 2, 1]))
    >>> state = aligner.init(num_clients=3, num_experts=2)
    >>> solution, state = aligner.align(state, cohort=[0, 1, 2])
    >>> solution.status, solution.loads
    (<Status.OPTIMAL: 'OPTIMAL'>, array([2., 2.]))
    >>> experts = solution.assigned.experts[solution.assigned.clients() == 1]
    >>> report = Report(1, experts, usage=[0.5, 0.5], loss=[0.3, 2.0], accuracy=[0.9, 0.4], num_examples=64)
    >>> state = aligner.observe(state, [report])
    """

    fitness: FitnessEstimator[Any] = field(default_factory=LossFitness)
    load: LoadEstimator[Any] = field(default_factory=LoadMonitor)
    capacity: CapacityEstimator[Any] = field(default_factory=lambda: CapacityProfiler(client_capacity=1))
    solver: str | Solver = "auto"
    time_limit: float | None = None
    tie_break: float = 1e-6
    budget: BudgetEstimator[Any] | None = None
    switching: SwitchingEstimator[Any] | None = None
    layers: tuple[int, ...] | None = None
    privacy: Privacy | None = None

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.amount("tie_break", self.tie_break)
        if self.layers is not None:
            object.__setattr__(self, "layers", tuple(self.layers))
            check_layers(self.layers)

    @property
    def _fitness(self) -> FitnessEstimator[Any]:
        return self.fitness if self.layers is None else LayeredFitness(self.fitness, self.layers)

    @property
    def _load(self) -> LoadEstimator[Any]:
        return self.load if self.layers is None else LayeredLoad(self.load, self.layers)

    def _estimators(self) -> dict[str, Any]:
        """Return the estimators that learn from reports, by name."""
        estimators = (self._fitness, self._load, self.capacity, self.budget, self.switching)
        return {field: one for field, one in zip(ESTIMATORS, estimators, strict=True) if one is not None}

    def init(self, num_clients: int, num_experts: int, *, seed: int = 0) -> AlignerState:
        """Return the state before the first round.

        Parameters
        ----------
        num_clients, num_experts
            Sizes of the federation, 1 or more.
        seed
            Seed of all random numbers of the run, 0 or more.

        Raises
        ------
        ValueError
            If there is no client or no expert, the seed is negative, or an estimator does not fit these numbers.
        """
        if num_clients < 1 or num_experts < 1:
            raise ValueError(f"num_clients and num_experts must be 1 or more, not {num_clients} and {num_experts}")
        if seed < 0:
            raise ValueError(f"seed is {seed}; it must be 0 or more")
        return AlignerState(
            num_clients=num_clients,
            num_experts=num_experts,
            seed=seed,
            round=0,
            clipped_rounds=0,
            softened_rounds=0,
            prices=np.zeros(num_experts),
            privacy=states.NoState() if self.privacy is None else self.privacy.init(num_clients),
            **{field: one.init(num_clients, num_experts) for field, one in self._estimators().items()},
        )

    def align(self, state: AlignerState, cohort: npt.ArrayLike) -> tuple[Solution, AlignerState]:
        """Align the clients of one round.

        Parameters
        ----------
        state
            From :meth:`init`, :meth:`observe` or :meth:`from_arrays`.
        cohort
            Indices of this round's clients, ascending and distinct.

        Returns
        -------
        solution
            The round's alignment; its row r is client ``cohort[r]``.
        state
            The state for the next :meth:`observe` or :meth:`align`.

        Raises
        ------
        ValueError
            If the cohort is empty or not ascending, or names a client twice or an unknown one.
        SolveError
            If the solver found no alignment. InfeasibleError if none exists, which needs hard bounds.
        """
        clients = _read_cohort(cohort, state.num_clients)
        rng = _numbers(state.seed, state.round)
        problem, bounds = self._pose(state, clients, rng)
        solution = solve(
            problem,
            _in_round(self.solver, state.round),
            time_limit=self.time_limit,
            warm_start=WarmStart(prices=state.prices if state.prices.any() else None),
            seed=int(rng.integers(2**31)),
        )
        loads = solution.loads
        assert loads is not None  # solve() raises if there is no alignment
        softened = (loads > bounds.capacity + FEASIBILITY) | (loads < bounds.demand - FEASIBILITY)
        return solution, replace(
            state,
            round=state.round + 1,
            clipped_rounds=state.clipped_rounds + int(bounds.clipped),
            softened_rounds=state.softened_rounds + int(softened.any()),
            prices=state.prices if solution.prices is None else solution.prices,
        )

    def _pose(
        self, state: AlignerState, cohort: IntArray, rng: np.random.Generator
    ) -> tuple[AlignmentProblem, LoadBounds]:
        """Combine the estimates into the round's problem."""
        fitness = self._fitness.fitness(state.fitness, cohort, rng=rng)
        capacity, demand = self.capacity.capacity(state.capacity, cohort)
        budgets = None if self.budget is None else self.budget.budgets(state.budget, cohort)
        limits = client_limits(capacity, demand, state.num_experts, budgets=budgets, layers=self.layers)
        switching, value = {}, fitness
        if self.switching is not None:
            previous, cost = self.switching.previous(state.switching, cohort), self.switching.costs(state.num_experts)
            switching, value = {"previous": previous, "switching_cost": cost}, fitness - np.where(previous, 0.0, cost)
        bounds = self._load.bounds(state.load, limits.capacity, value)
        problem = AlignmentProblem(
            self._without_ties(fitness, rng),
            expert_capacity=bounds.capacity,
            expert_demand=bounds.demand,
            overload_penalty=bounds.penalty,
            shortfall_penalty=bounds.penalty,
            **limits.fields,
            **switching,
        )
        return problem, bounds

    def _without_ties(self, fitness: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return the fitness plus the noise that breaks ties; only one new array is allocated."""
        if not self.tie_break:
            return fitness
        noise = rng.random(fitness.shape)
        noise *= self.tie_break
        noise += fitness
        return noise

    def observe(self, state: AlignerState, reports: Sequence[Report]) -> AlignerState:
        """Learn from the reports of a round; their order does not matter.

        Parameters
        ----------
        state
            From :meth:`align`.
        reports
            At most one per client, for the round that was aligned last.

        Returns
        -------
        AlignerState
            The state for the next :meth:`align`.

        Raises
        ------
        ValueError
            If a client reports twice, or a report names an unknown client or expert.
        """
        ordered = sorted(reports, key=lambda report: report.client)
        _check_reports(ordered, state)
        if self.privacy is not None:
            ledger = cast("Ledger", state.privacy)
            rng = _numbers(state.seed, state.round, int(ledger.releases.sum()), PRIVACY)
            ordered, ledger = self.privacy.apply(ledger, ordered, rng=rng)
            state = replace(state, privacy=ledger)
        learned = {field: one.update(getattr(state, field), ordered) for field, one in self._estimators().items()}
        return replace(state, **learned)

    def from_arrays(self, arrays: Mapping[str, npt.NDArray[Any]]) -> AlignerState:
        """Read a state back from :meth:`AlignerState.to_arrays`.

        Raises
        ------
        ValueError
            If the arrays do not belong to a state of these estimators.
        """
        missing = {"num_clients", "num_experts", "seed"} - set(arrays)
        if missing:
            raise ValueError(f"the state lacks {', '.join(sorted(missing))}")
        like = self.init(int(arrays["num_clients"]), int(arrays["num_experts"]), seed=int(arrays["seed"]))
        return states.from_arrays(like, arrays)


def _numbers(seed: int, *key: int) -> np.random.Generator:
    """Return a random generator; different seeds and keys (round, use) give independent streams."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _in_round(solver: str | Solver, number: int) -> str | Solver:
    """Return the solver; if it has a parameter ``round`` (a rolling window), the round's number is added to it."""
    call: Any = resolve(solver)[1]
    if "round" not in getattr(call, "__dataclass_fields__", ()):
        return solver
    return cast("Solver", replace(call, round=call.round + number))


def _read_cohort(cohort: npt.ArrayLike, num_clients: int) -> IntArray:
    clients = np.asarray(cohort)
    if clients.ndim != 1 or not len(clients):
        raise ValueError(f"cohort must be a list of at least one client index; its shape is {clients.shape}")
    if clients.dtype.kind not in "iu":
        raise ValueError(f"cohort must be integers, not {clients.dtype}")
    clients = clients.astype(np.int64)
    if clients.min() < 0 or clients.max() >= num_clients:
        raise ValueError(
            f"cohort names clients {clients.min()}..{clients.max()}, there are 0..{num_clients - 1}; "
            "state.grow makes room for clients that join"
        )
    unsorted = np.flatnonzero(np.diff(clients) <= 0)
    if len(unsorted):
        r = int(unsorted[0])
        raise ValueError(
            f"cohort must be ascending, each client once: client {clients[r + 1]} follows client {clients[r]}"
        )
    return clients


def _check_reports(ordered: Sequence[Report], state: AlignerState) -> None:
    last = -1
    for report in ordered:
        if report.client == last:
            raise ValueError(f"client {report.client} reports twice in one round")
        if report.client >= state.num_clients:
            raise ValueError(f"a report names client {report.client}, there are 0..{state.num_clients - 1}")
        if report.experts.max(initial=-1) >= state.num_experts:
            raise ValueError(
                f"report of client {report.client} names expert {report.experts.max()}, "
                f"there are 0..{state.num_experts - 1}"
            )
        last = report.client
