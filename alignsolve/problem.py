"""AlignmentProblem: the data of one alignment problem, validated once and read in blocks of clients."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from alignsolve.certificate.bound import bound as price_bound
from alignsolve.certificate.violations import violations as find_violations
from alignsolve.certificate.worth import worth
from alignsolve.data import validation
from alignsolve.data.alignment import as_alignment
from alignsolve.data.blocks import ClientBlock, RowBlocks, block_rows
from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.data.features import Feature, ProblemClass
from alignsolve.data.frames import library_of
from alignsolve.data.labels import NAMES, matched
from alignsolve.data.names import naming, read_names
from alignsolve.data.rows import client_block, distinct, whole_or_infinite
from alignsolve.data.stored import StoredPairs
from alignsolve.data.stored_fields import dense_fields, refuse_full_fields, stored_amounts, stored_flags
from alignsolve.numerics import FloatArray, IntArray, Number, RealArray
from alignsolve.show.html import problem_html


@dataclass(frozen=True, eq=False)
class AlignmentProblem:
    """Which client trains which expert, so that the total fitness is highest and every bound holds.

    maximise Σ fitness·x − Σ switching_cost·x·[not held before] − penalties, over x in {0, 1}, subject to the bounds
    below. Arguments are broadcast, validated and kept without copying; the object is immutable. Bounds that contradict
    each other are accepted, and the problem is then infeasible. Arguments that make no problem are refused.

    Parameters
    ----------
    fitness
        (num_clients, num_experts), floats or integers, finite where eligible, higher is better. Or :class:`RowBlocks`:
        then only the first block is read here, and the values of each other one are checked whenever it is read.
        Or a matrix of ``scipy.sparse``: then only stored pairs are eligible, a stored 0 too, and nothing of the full
        size is made. ``required``, ``previous`` and a ``switching_cost`` for each pair are sparse matrices as well;
        there are no client loads and no budgets.
    client_capacity, client_demand
        Scalar or (num_clients,), whole numbers: most and fewest experts per client.
    expert_capacity, expert_demand
        Scalar or (num_experts,): most and least load per expert. A capacity of None or inf is unbounded.
    eligible, required
        (num_clients, num_experts) bools: pairs that may be, and that must be, in the alignment.
    expert_group
        (num_experts,) integers 0..num_groups-1: each expert's group, an MoE layer say.
    group_capacity, group_demand
        Scalar, (num_groups,) or (num_clients, num_groups), whole numbers: most (default: no limit) and fewest
        (default: 0) experts per client and group.
    client_load
        (num_clients,) or (num_clients, num_experts), not negative: what the client puts on an expert; default 1.
    client_budget
        Scalar, (num_clients,) or (num_clients, num_resources): what the client may spend on its experts.
    expert_cost
        (num_experts,) or (num_clients, num_experts), not negative, in the budget's unit; with a trailing
        num_resources axis where ``client_budget`` has one.
    overload_penalty, shortfall_penalty
        Scalar or (num_experts,), fitness per unit of load beyond the expert's bound; None or inf: a hard bound.
    previous
        (num_clients, num_experts) bools: experts that the client holds already. None: it holds none.
    switching_cost
        Scalar, (num_experts,) or (num_clients, num_experts): fitness lost by an expert that the client must fetch.
    client_names, expert_names
        A name for each client and each expert, texts or whole numbers, for messages and tables; None: numbers. The
        index and the columns of a data frame of fitness are the names. A frame without an index has them in the column
        ``client``, or in the only one that holds no numbers.

    Raises
    ------
    ValueError
        If an argument cannot be part of a problem; the message names the field, the client and the expert. Masked
        arrays are refused, as their mask would be lost. A labelled array (a Series, a data frame) is matched by its
        labels, and refused if they are not those of the fitness.

    Examples
    --------
    >>> problem = AlignmentProblem([[3.0, 1.0], [2.0, 1.5]], expert_capacity=1)
    >>> problem.class_, problem.objective([[True, False], [False, True]]), round(problem.bound([1.0, 0.5]), 9)
    (<ProblemClass.CARDINALITY: 'cardinality'>, 4.5, 4.5)
    """

    fitness: Any
    client_capacity: Any = 1
    client_demand: Any = 0
    expert_capacity: Any = None
    expert_demand: Any = 0
    eligible: Any = None
    required: Any = None
    expert_group: Any = None
    group_capacity: Any = None
    group_demand: Any = None
    client_load: Any = None
    client_budget: Any = None
    expert_cost: Any = None
    overload_penalty: Any = None
    shortfall_penalty: Any = None
    previous: Any = None
    switching_cost: Any = 0.0
    client_names: Any = None
    expert_names: Any = None
    library: ClassVar[str | None] = None
    """The library of the data frame from which this problem was made, such as "polars"."""

    def __post_init__(self) -> None:
        """Broadcast and validate every field; after that each is an array of its full shape, or None."""
        self._set("library", library_of(self.fitness))
        for field, array in matched(self.__dict__).items():
            self._set(field, array)
        fitness = validation.fitness(self.fitness)
        for field, count in zip(NAMES, fitness.shape, strict=True):
            self._set(field, read_names(field, getattr(self, field), count))
        with naming(self.client_names, self.expert_names):
            self._validate(fitness)

    def _validate(self, fitness: Any) -> None:
        self._set("fitness", fitness)
        n, e = self.shape
        clients, experts, pairs = ("num_clients",), ("num_experts",), ("num_clients", "num_experts")
        for field in ("client_capacity", "client_demand"):
            self._set(field, validation.counts(field, getattr(self, field), (n,), clients))
        for field in ("expert_capacity", "overload_penalty", "shortfall_penalty"):
            given = getattr(self, field)
            given = np.inf if given is None else given
            self._set(field, validation.amounts(field, given, (e,), experts, infinite=True))
        demand = validation.amounts("expert_demand", self.expert_demand, (e,), experts, infinite=False)
        self._set("expert_demand", demand)
        self._validate_groups()
        if self.stored is not None:
            self._validate_stored(self.stored)
            return
        for field in ("eligible", "required", "previous"):
            if getattr(self, field) is not None:
                self._set(field, validation.flags(field, getattr(self, field), (n, e)))
        self._set("largest_fitness", validation.check_fitness(self.fitness, self.eligible))
        self._validate_loads()
        self._validate_budgets()
        switching = validation.amounts(
            "switching_cost", self.switching_cost, (n, e), pairs, infinite=False, signed=True
        )
        self._set("switching_cost", switching)

    def _validate_stored(self, pairs: StoredPairs) -> None:
        refuse_full_fields(self)
        for field in ("required", "previous"):
            if getattr(self, field) is not None:
                inside = field == "required"
                self._set(field, stored_flags(field, getattr(self, field), pairs, inside=inside))
        self._set("switching_cost", stored_amounts("switching_cost", self.switching_cost, pairs))

    def _set(self, field: str, value: Any) -> None:
        object.__setattr__(self, field, value)

    def _validate_groups(self) -> None:
        if self.expert_group is None:
            for field in ("group_capacity", "group_demand"):
                if getattr(self, field) is not None:
                    raise ValueError(f"{field} is given without expert_group: say which expert is in which group")
            return
        n, e = self.shape
        group = validation.counts("expert_group", self.expert_group, (e,), ("num_experts",))
        num_groups = validation.number_of_groups(group, (self.group_capacity, self.group_demand))
        shape, axes = (n, num_groups), ("num_clients", "num_groups")
        capacity = e if self.group_capacity is None else self.group_capacity
        demand = 0 if self.group_demand is None else self.group_demand
        self._set("expert_group", group)
        self._set("group_capacity", validation.counts("group_capacity", capacity, shape, axes))
        self._set("group_demand", validation.counts("group_demand", demand, shape, axes))

    def _validate_loads(self) -> None:
        if self.client_load is None:
            return
        load = validation.numbers("client_load", self.client_load)
        if load.ndim == 1:
            validation.spread("client_load", load, (self.num_clients,), ("num_clients",))
            load = load[:, None]
        load = validation.spread("client_load", load, self.shape, ("num_clients", "num_experts"))
        load = validation.refuse_bad_amounts(
            "client_load", load, ("num_clients", "num_experts"), infinite=False, eligible=self.eligible
        )
        unit = load == 1.0 if self.eligible is None else (load == 1.0) | ~self.eligible
        self._set("client_load", None if unit.all() else load)

    def _validate_budgets(self) -> None:
        if (self.client_budget is None) != (self.expert_cost is None):
            given, missing = ("client_budget", "expert_cost")
            if self.client_budget is None:
                given, missing = missing, given
            raise ValueError(f"{given} is given without {missing}: budgets need both")
        if self.client_budget is None:
            return
        n, e = self.shape
        budget = validation.numbers("client_budget", self.client_budget)
        cost = validation.numbers("expert_cost", self.expert_cost)
        validation.check_resources(budget, cost)
        if budget.ndim < 2:
            budget, cost = np.atleast_1d(budget)[:, None], cost[..., None]
        num_resources = budget.shape[1]
        axes = ("num_clients", "num_experts", "num_resources")
        if cost.ndim == 2:
            validation.refuse_bad_amounts("expert_cost", cost, axes[1:], infinite=False)
        budget = validation.amounts("client_budget", budget, (n, num_resources), (axes[0], axes[2]), infinite=True)
        cost = validation.spread("expert_cost", cost, (n, e, num_resources), axes)
        eligible = None if self.eligible is None else self.eligible[:, :, None]
        cost = validation.refuse_bad_amounts("expert_cost", cost, axes, infinite=False, eligible=eligible)
        self._set("client_budget", budget)
        self._set("expert_cost", cost)

    @property
    def shape(self) -> tuple[int, int]:
        """(num_clients, num_experts)."""
        return self.fitness.shape

    @property
    def num_clients(self) -> int:
        """Rows."""
        return self.shape[0]

    @property
    def num_experts(self) -> int:
        """Columns."""
        return self.shape[1]

    @property
    def stored(self) -> StoredPairs | None:
        """The stored pairs of a sparse problem; None where the fitness is a full matrix."""
        return self.fitness if isinstance(self.fitness, StoredPairs) else None

    @property
    def num_groups(self) -> int:
        """Groups of experts; 0 where the problem has none."""
        return 0 if self.expert_group is None else int(self.group_capacity.shape[1])

    @cached_property
    def class_(self) -> ProblemClass:
        """Cardinality (a flow, provable by prices) or general (NP-hard)."""
        unit = self.client_load is None and self.client_budget is None
        return ProblemClass.CARDINALITY if unit else ProblemClass.GENERAL

    @cached_property
    def experts(self) -> ExpertBounds:
        """The experts' bounds and penalties."""
        return ExpertBounds(
            self.expert_capacity,
            self.expert_demand,
            self.overload_penalty,
            self.shortfall_penalty,
            unit_loads=self.client_load is None,
        )

    @cached_property
    def largest_fitness(self) -> float:
        """The largest size of an entry of the fitness, ineligible ones too; inf where one of these is no number.

        Validation finds it. Of a fitness that is not in memory it is that of the first block; of a sparse problem that
        of the stored pairs.
        """
        if self.stored is not None:
            values = self.stored.values
            return float(max(-values.min(initial=0), values.max(initial=0)))
        return validation.check_fitness(self.fitness, self.eligible)

    @cached_property
    def has_switching_costs(self) -> bool:
        """Whether any switching cost is not zero."""
        return bool(distinct(self.switching_cost).any())

    @cached_property
    def integral(self) -> bool:
        """Whether every alignment's objective is a whole number, to be computed exactly."""
        data = [self.switching_cost, self.overload_penalty, self.shortfall_penalty]
        if np.isfinite(self.overload_penalty).any() or np.isfinite(self.shortfall_penalty).any():
            data += [self.expert_capacity, self.expert_demand]
            data += [] if self.client_load is None else [self.client_load]
        return np.dtype(self.fitness.dtype).kind in "iu" and all(whole_or_infinite(values) for values in data)

    @cached_property
    def features(self) -> frozenset[Feature]:
        """What this problem asks of a solver."""
        experts = self.experts
        soft_capacity = np.isfinite(self.overload_penalty) & np.isfinite(self.expert_capacity)
        soft_demand = np.isfinite(self.shortfall_penalty) & (self.expert_demand > 0)
        asks = {
            Feature.FRACTIONAL_VALUES: not self.integral,
            Feature.ELIGIBILITY: self.eligible is not None or self.stored is not None,
            Feature.REQUIRED_PAIRS: self.required is not None and bool(distinct(self.required).any()),
            Feature.CLIENT_DEMANDS: bool(self.client_demand.any()),
            Feature.GROUPS: self.expert_group is not None,
            Feature.HARD_EXPERT_CAPACITIES: bool(experts.hard_capacity.any()),
            Feature.HARD_EXPERT_DEMANDS: bool(experts.hard_demand.any()),
            Feature.SOFT_BOUNDS: bool((soft_capacity | soft_demand).any()),
            Feature.SWITCHING_COSTS: self.has_switching_costs,
            Feature.WEIGHTED_LOADS: self.client_load is not None,
            Feature.BUDGETS: self.client_budget is not None,
            Feature.SPARSE: self.stored is not None,
        }
        return frozenset(feature for feature, asked in asks.items() if asked)

    def block(self, start: int, stop: int) -> ClientBlock:
        """Rows start..stop-1, ready to compute with; views where possible."""
        rows = slice(start, min(stop, self.num_clients))
        return client_block(self, rows, rows.start, rows.stop)

    def pick(self, rows: IntArray) -> ClientBlock:
        """Rows of an ascending index array, numbered from 0 on; the rows between them are not kept in memory."""
        return client_block(self, rows, 0, len(rows))

    def blocks(self) -> Iterator[ClientBlock]:
        """All clients, in blocks of a size that stays in the cache."""
        if self.stored is not None:
            yield from (self.block(start, stop) for start, stop in self.stored.cuts())
            return
        step = block_rows(self.num_experts)
        for start in range(0, self.num_clients, step):
            yield self.block(start, start + step)

    def values(self) -> RealArray:
        """Fitness minus switching costs of all pairs, (num_clients, num_experts); of a sparse problem (num_pairs,)."""
        if self.stored is None:
            return self.block(0, self.num_clients).value
        if not self.has_switching_costs:
            return self.stored.values
        return np.concatenate([block.value[block.allowed] for block in self.blocks()] or [self.stored.values])

    def with_fitness(self, fitness: RealArray | RowBlocks) -> "AlignmentProblem":
        """Return the same problem with a fitness of the same shape and kind, which is not validated again."""
        other = object.__new__(AlignmentProblem)
        other.__dict__.update(self.__dict__, fitness=fitness)
        other.__dict__.pop("largest_fitness", None)
        return other

    def unread(self) -> "AlignmentProblem":
        """Return the same problem for what needs no fitness: all are 0 if they would be read in blocks."""
        if not isinstance(self.fitness, RowBlocks):
            return self
        return self.with_fitness(np.broadcast_to(np.zeros(1, dtype=self.fitness.dtype), self.shape))

    def to_dense(self) -> "AlignmentProblem":
        """Return the same problem with full matrices: num_clients · num_experts numbers each. Only on request."""
        return self if self.stored is None else replace(self, **dense_fields(self))

    def objective(self, x: Any) -> Number:
        """Objective of an alignment: a matrix of bools or (indptr, experts). Only eligible pairs are read."""
        return worth(self, as_alignment(x, *self.shape)).objective

    def loads(self, x: Any) -> FloatArray:
        """Load per expert of an alignment, (num_experts,)."""
        return worth(self, as_alignment(x, *self.shape)).loads

    def violations(self, x: Any) -> list[str]:
        """Describe each kind of constraint that an alignment breaks by its worst row; empty if it is feasible."""
        return find_violations(self, as_alignment(x, *self.shape))

    def bound(self, prices: npt.ArrayLike) -> Number:
        """Upper bound on the objective of every alignment, from any expert prices, (num_experts,).

        Raises
        ------
        ValueError
            If the prices are not num_experts numbers, or so large that reduced fitness would overflow.
        """
        return price_bound(self, validation.prices(prices, self.num_experts)).value

    def soften(self, *, overload: Any = None, shortfall: Any = None) -> "AlignmentProblem":
        """Return the same problem with the experts' bounds priced instead of hard.

        Parameters
        ----------
        overload, shortfall
            Scalar or (num_experts,), fitness per unit beyond the bound; None leaves that side as it is.
        """
        return replace(
            self,
            overload_penalty=self.overload_penalty if overload is None else overload,
            shortfall_penalty=self.shortfall_penalty if shortfall is None else shortfall,
        )

    def _repr_html_(self) -> str:
        return problem_html(self)

    def __repr__(self) -> str:
        asked = ", ".join(sorted(self.features)) or "nothing but client capacities"
        return f"AlignmentProblem({self.num_clients} clients x {self.num_experts} experts, {self.class_}: {asked})"


FIELDS = tuple(field.name for field in fields(AlignmentProblem) if field.name not in NAMES)
"""The arguments that hold numbers: all but the names."""

__all__ = ["FIELDS", "AlignmentProblem", "Feature", "ProblemClass"]
