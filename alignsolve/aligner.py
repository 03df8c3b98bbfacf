"""The aligner: the loop of a federated run (estimate, solve, observe), with an explicit state that the caller keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from alignsolve.admission import Arrival
from alignsolve.estimate import checks
from alignsolve.estimate import state as states
from alignsolve.estimate.aligner_state import ESTIMATORS, AlignerState
from alignsolve.estimate.capacity import CapacityProfiler
from alignsolve.estimate.deadline import Budgets
from alignsolve.estimate.estimator import (
    BudgetEstimator,
    CapacityEstimator,
    FitnessEstimator,
    LoadEstimator,
    SwitchingEstimator,
)
from alignsolve.estimate.fitness import LossFitness
from alignsolve.estimate.layered import LayeredFitness, LayeredLoad, LayeredReports, check_layers
from alignsolve.estimate.limits import client_limits
from alignsolve.estimate.load import LoadBounds, LoadMonitor
from alignsolve.estimate.optional import Advice, advice_of, probed, takes_probes, uses
from alignsolve.estimate.privacy import Ledger, Privacy
from alignsolve.estimate.report import Report, check_masses, check_reports
from alignsolve.estimate.servers import Servers
from alignsolve.front import resolve, solve
from alignsolve.numerics import FEASIBILITY, FloatArray, IntArray
from alignsolve.problem import AlignmentProblem
from alignsolve.solution import Solution
from alignsolve.solver import Solver, WarmStart

PRIVACY, ADMISSION = 7, 11
"""Keys of the random numbers for privacy noise and for admissions, which must differ from those of a round."""
ONE_EXPERT, NO_LIMIT = (CapacityProfiler(client_capacity=most) for most in (1, 1 << 40))
"""The default capacity: one expert per client; with a budget, as many as it pays for."""


@dataclass(frozen=True)
class Aligner:
    """Decides, round by round, which client trains which expert.

    Parameters
    ----------
    fitness, load, capacity
        Estimators (:mod:`alignsolve.estimate`). Default of the capacity: one expert per client; with a budget, as many
        as it pays for.
    solver
        As in :func:`alignsolve.solve`. If the solver has a parameter ``round``, the round's number is added to it.
    time_limit
        Seconds per round; None: no limit.
    tie_break
        Largest seeded noise added to the fitness. It breaks ties, which would otherwise always favour low indices, as
        in the first round. It should be far below any relevant difference in fitness; 0 turns it off.
    budget
        Estimator of the clients' budgets over all layers, :class:`~alignsolve.MemoryBudget` in bytes or
        :class:`~alignsolve.TimeBudget` in seconds; None: no budgets. A client that cannot pay for the common demand
        gets fewer experts.
    switching
        Estimator of the cost of fetching experts, such as :class:`~alignsolve.SwitchingCost`; None: no cost.
    layers
        Number of experts of each MoE layer. The layers stand side by side and are estimated layer by layer. Every
        client gets an expert of every layer, or none at all if its capacity is too small. Capacities count all layers
        together. None: one layer, without this demand.
    privacy
        Noise that clients add to their reports; None: no noise.
    layer_demand
        Fewest experts of each layer that a client needs for a forward pass, 1 or more; without ``layers`` it is not
        used.
    sets
        Which server hosts which experts, and the servers' capacities, :class:`~alignsolve.Servers`; None: no servers.
    fresh_masses
        Whether the loop should ask a round's clients for router masses before it aligns them (:meth:`probe`). The
        fitness must take them.

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
    capacity: CapacityEstimator[Any] = ONE_EXPERT
    solver: str | Solver = "auto"
    time_limit: float | None = None
    tie_break: float = 1e-6
    budget: BudgetEstimator[Any] | None = None
    switching: SwitchingEstimator[Any] | None = None
    layers: tuple[int, ...] | None = None
    privacy: Privacy | None = None
    layer_demand: int = 1
    sets: Servers | None = None
    fresh_masses: bool = False

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.amount("tie_break", self.tie_break)
        checks.whole("layer_demand", self.layer_demand, 1)
        if self.budget is not None and self.capacity is ONE_EXPERT:
            object.__setattr__(self, "capacity", NO_LIMIT)
        if self.layers is not None:
            object.__setattr__(self, "layers", tuple(self.layers))
            check_layers(self.layers)
        if self.fresh_masses and not takes_probes(self.fitness):
            raise ValueError(f"fresh_masses is True, but {type(self.fitness).__name__} takes no fresh router masses")

    @property
    def uses_geometry(self) -> bool:
        """Whether the fitness learns from the geometry of updates, so that reports must have it."""
        return uses(self.fitness, "geometry")

    @property
    def uses_router_mass(self) -> bool:
        """Whether the fitness learns from router masses, or privacy releases them, so that reports must have them."""
        return uses(self.fitness, "router_mass") or (self.privacy is not None and "router_mass" in self.privacy.release)

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
            room=np.zeros(num_experts),
            at_work=np.zeros(num_experts),
            privacy=states.NoState() if self.privacy is None else self.privacy.init(num_clients),
            **{field: one.init(num_clients, num_experts) for field, one in self._estimators().items()},
        )

    def probe(self, state: AlignerState, masses: Mapping[int, npt.ArrayLike]) -> AlignerState:
        """Learn fresh router masses before a round is aligned: one more exchange of num_experts numbers.

        The masses in a client's last report are of an older model, and of a much older one with few clients a round.

        Parameters
        ----------
        state
            From :meth:`init` or :meth:`observe`.
        masses
            By client: (num_experts,) mean probabilities of its router. Not used if the fitness takes no probes.

        Raises
        ------
        ValueError
            If a client is unknown, its masses are not num_experts finite numbers, 0 or more, or privacy is on.
        """
        if self.privacy is not None:
            raise ValueError("privacy is on, and fresh router masses would have no noise: use either of the two")
        clients, read = check_masses(masses, state.num_clients, state.num_experts)
        return replace(state, fitness=probed(self._fitness, state.fitness, clients, read))

    def advice(self, state: AlignerState) -> Advice:
        """Return what the fitness advises for the next round: load bounds, auxiliary loss, and its verdict."""
        return advice_of(self._fitness, state.fitness, state.num_experts)

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
        clients = checks.cohort(cohort, state.num_clients)
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
        if solution.set_loads is not None:
            softened = np.append(softened, solution.set_loads > problem.set_capacity + FEASIBILITY)
        return solution, replace(
            state,
            round=state.round + 1,
            clipped_rounds=state.clipped_rounds + int(bounds.clipped),
            softened_rounds=state.softened_rounds + int(softened.any()),
            prices=state.prices if solution.prices is None else solution.prices,
            room=bounds.capacity - loads,
            at_work=loads,
        )

    def admit(self, state: AlignerState, client: int) -> tuple[IntArray, AlignerState]:
        """Give one client that arrives between two rounds its experts, at the prices of the last round.

        The client gets its best experts at these prices, among those that have room: it maximises fitness minus prices
        minus the cost of fetching, within its capacity, demands and budget, and the room of servers. Nobody else moves.

        Parameters
        ----------
        state
            From :meth:`align`, :meth:`observe` or :meth:`admit`, after the first round. It is not changed.
        client
            Index of the client. It may be new to the federation (:meth:`AlignerState.grow`) or not in the last round.
            A client must not be admitted while it is at work: its first experts would keep their places, too.

        Returns
        -------
        experts
            (k,) the client's experts, ascending, numbered through the layers. The same state and client give the same
            experts.
        state
            The state with less room; the client's report in :meth:`observe` gives its places back. The round's number
            stays.

        Raises
        ------
        ValueError
            If the client is unknown, or no round has been aligned.
        AdmissionError
            If the client cannot get an expert of every layer; the message names the client, the layer, what is
            missing in places or in the budget's unit, and the servers without room.
        """
        cohort = checks.cohort([client], state.num_clients)
        if state.round == 0:
            raise ValueError("no round has been aligned, so there are no prices: admit() follows align()")
        rng = _numbers(state.seed, state.round, client, ADMISSION)
        fitness, switching = self._estimated(state, cohort, rng)
        value = self._without_ties(fitness, rng)
        if switching:
            value = np.where(switching["previous"], value, value - switching["switching_cost"])
        limits = self._declared(state, cohort)
        rooms = None if self.sets is None else self.sets.rooms(state.at_work)
        arrival = Arrival(client, value, *limits, self.layers, self.layer_demand, rooms)
        experts = arrival.choose(state.prices, state.room >= 1)
        return experts, state.busier(experts)

    def _declared(self, state: AlignerState, cohort: IntArray) -> tuple[IntArray, IntArray, Budgets | None]:
        """Return the most and the fewest experts of each client, and the budgets."""
        budgets = None if self.budget is None else self.budget.budgets(state.budget, cohort)
        return *self.capacity.capacity(state.capacity, cohort), budgets

    def _estimated(
        self, state: AlignerState, cohort: IntArray, rng: np.random.Generator
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Return the fitness, and the fields of the problem that say what fetching an expert costs."""
        fitness = self._fitness.fitness(state.fitness, cohort, rng=rng)
        if self.switching is None:
            return fitness, {}
        previous, cost = self.switching.previous(state.switching, cohort), self.switching.costs(state.num_experts)
        return fitness, {"previous": previous, "switching_cost": cost}

    def _pose(
        self, state: AlignerState, cohort: IntArray, rng: np.random.Generator
    ) -> tuple[AlignmentProblem, LoadBounds]:
        """Combine the estimates into the round's problem."""
        fitness, switching = self._estimated(state, cohort, rng)
        capacity, demand, budgets = self._declared(state, cohort)
        limits = client_limits(
            capacity, demand, state.num_experts, budgets=budgets, layers=self.layers, layer_demand=self.layer_demand
        )
        value = fitness - np.where(switching["previous"], 0.0, switching["switching_cost"]) if switching else fitness
        bounds = self._load.bounds(state.load, limits.capacity, value).only(self.advice(state).bounded)
        problem = AlignmentProblem(
            self._without_ties(fitness, rng),
            expert_capacity=bounds.capacity,
            expert_demand=bounds.demand,
            overload_penalty=bounds.penalty,
            shortfall_penalty=bounds.penalty,
            **limits.fields,
            **switching,
            **({} if self.sets is None else self.sets.fields(bounds.penalty)),
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
        check_reports(ordered, state.num_clients, state.num_experts)
        if self.privacy is not None:
            ledger = cast("Ledger", state.privacy)
            rng = _numbers(state.seed, state.round, int(ledger.releases.sum()), PRIVACY)
            ordered, ledger = self.privacy.apply(ledger, ordered, rng=rng)
            state = replace(state, privacy=ledger)
        told = ordered if self.layers is None else LayeredReports.of(ordered, self.layers)
        learned = {field: one.update(getattr(state, field), told) for field, one in self._estimators().items()}
        freed = np.concatenate([np.zeros(0, dtype=np.int64), *(report.experts for report in reports)])
        return replace(state.busier(freed, -1.0), **learned)

    def from_arrays(self, arrays: Mapping[str, npt.NDArray[Any]]) -> AlignerState:
        """Read a state back from :meth:`AlignerState.to_arrays`.

        Raises
        ------
        ValueError
            If the arrays do not belong to a state of these estimators.
        """
        num_clients, num_experts, seed = (states.whole(name, arrays) for name in ("num_clients", "num_experts", "seed"))
        states.check_sizes(num_clients, num_experts, arrays)
        like = self.init(num_clients, num_experts, seed=seed)
        # Older files have no room, and do not know who is at work.
        unknown = {"room": like.room, "at_work": np.full(num_experts, np.inf)}
        return states.from_arrays(like, unknown | dict(arrays))


def _numbers(seed: int, *key: int) -> np.random.Generator:
    """Return a random generator; different seeds and keys (round, use) give independent streams."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _in_round(solver: str | Solver, number: int) -> str | Solver:
    """Return the solver; if it has a parameter ``round`` (a rolling window), the round's number is added to it."""
    call: Any = resolve(solver)[1]
    if "round" not in getattr(call, "__dataclass_fields__", ()):
        return solver
    return cast("Solver", replace(call, round=call.round + number))
