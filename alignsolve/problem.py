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
from alignsolve.data.budgets import read_budgets
from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.data.expert_sets import SET_BOUNDS, ExpertSets, read_sets
from alignsolve.data.features import Feature, ProblemClass, features_of, is_integral
from alignsolve.data.frames import library_of
from alignsolve.data.groups import read_groups
from alignsolve.data.labels import NAMES, matched
from alignsolve.data.loads import read_loads
from alignsolve.data.names import naming, read_names
from alignsolve.data.rows import client_block, distinct
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
        there are no client loads, no budgets and no sets of experts.
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
    expert_sets
        (num_sets, num_experts) bools: which experts share a bound, a server's say; or (num_experts,) labels 0, 1, 2, …
        of a partition. Sets that are nested or disjoint stay in the cardinality class, sets that cross do not.
    set_capacity, set_demand, set_overload_penalty, set_shortfall_penalty
        Scalar or (num_sets,): the bounds of a set's load, the sum of its experts' loads, and their penalties, as for
        experts.
    optional_demand
        Scalar or (num_experts,): an expert has no load, or at least this much, say a course that is not given with
        fewer than five. It holds besides ``expert_demand``, and is always hard. None or 0: any load.
    previous
        (num_clients, num_experts) bools: experts that the client holds already. None: it holds none.
    switching_cost
        Scalar, (num_experts,) or (num_clients, num_experts): fitness lost by an expert that the client must fetch.
    client_names, expert_names, set_names
        A name for each client, expert and set, texts or whole numbers, for messages and tables; None: numbers. The
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
    expert_sets: Any = None
    set_capacity: Any = None
    set_demand: Any = 0
    set_overload_penalty: Any = None
    set_shortfall_penalty: Any = None
    optional_demand: Any = None
    set_names: Any = None
    library: ClassVar[str | None] = None
    """The library of the data frame from which this problem was made, such as "polars"."""

    def __post_init__(self) -> None:
        """Broadcast and validate every field; after that each is an array of its full shape, or None."""
        self._set("library", library_of(self.fitness))
        for field, array in matched(self.__dict__).items():
            self._set(field, array)
        fitness = validation.fitness(self.fitness)
        for field, count in zip(NAMES, fitness.shape, strict=False):
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
        bounds_of_sets = {name: getattr(self, name) for name in SET_BOUNDS}
        for field, value in read_sets(self.expert_sets, bounds_of_sets, self.set_names, e).items():
            self._set(field, value)
        optional = self.optional_demand
        if optional is not None:
            optional = validation.amounts("optional_demand", optional, (e,), experts, infinite=False)
            self._set("optional_demand", optional if optional.any() else None)
        for field, value in read_groups(self.expert_group, self.group_capacity, self.group_demand, self.shape).items():
            self._set(field, value)
        if self.stored is not None:
            self._validate_stored(self.stored)
            return
        for field in ("eligible", "required", "previous"):
            if getattr(self, field) is not None:
                self._set(field, validation.flags(field, getattr(self, field), (n, e)))
        self._set("largest_fitness", validation.check_fitness(self.fitness, self.eligible))
        self._set("client_load", read_loads(self.client_load, self.eligible, (n, e)))
        budgets = read_budgets(self.client_budget, self.expert_cost, self.eligible, (n, e))
        self._set("client_budget", budgets[0])
        self._set("expert_cost", budgets[1])
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
        nested = self.sets is None or self.sets.crossing is None
        flows = unit and nested and not self.experts.opening.any()
        return ProblemClass.CARDINALITY if flows else ProblemClass.GENERAL

    @cached_property
    def experts(self) -> ExpertBounds:
        """The experts' bounds and penalties."""
        return ExpertBounds(
            self.expert_capacity,
            self.expert_demand,
            self.overload_penalty,
            self.shortfall_penalty,
            unit_loads=self.client_load is None,
            optional=self.optional_demand,
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
    def sets(self) -> ExpertSets | None:
        """The sets of experts with their bounds and penalties; None where there are none."""
        if self.expert_sets is None:
            return None
        bounds = (self.set_capacity, self.set_demand, self.set_overload_penalty, self.set_shortfall_penalty)
        return ExpertSets(self.expert_sets, ExpertBounds(*bounds, unit_loads=self.client_load is None))

    @property
    def num_sets(self) -> int:
        """Sets of experts; 0 where the problem has none."""
        return 0 if self.expert_sets is None else len(self.expert_sets)

    @cached_property
    def integral(self) -> bool:
        """Whether every alignment's objective is a whole number, to be computed exactly."""
        return is_integral(self)

    @cached_property
    def features(self) -> frozenset[Feature]:
        """What this problem asks of a solver."""
        return features_of(self)

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

    def set_loads(self, x: Any) -> FloatArray:
        """Load per set of experts of an alignment, (num_sets,)."""
        return np.zeros(0) if self.sets is None else self.sets.loads(self.loads(x))

    def bound(self, prices: npt.ArrayLike, set_prices: npt.ArrayLike | None = None) -> Number:
        """Upper bound on the objective of every alignment, from any prices.

        Parameters
        ----------
        prices
            (num_experts,) what clients pay for each expert, the prices of the sets around it included; the prices of
            the sets may follow, (num_experts + num_sets,).
        set_prices
            (num_sets,) the prices of the sets; None: all are 0, but for those that follow the experts'.

        Raises
        ------
        ValueError
            If the prices are not as many numbers, or so large that reduced fitness would overflow.
        """
        own = validation.prices(prices, self.num_experts, self.num_sets)
        if set_prices is not None:
            own = np.append(own[: self.num_experts], validation.prices(set_prices, self.num_sets, field="set_prices"))
        return price_bound(self, own).value

    def soften(
        self, *, overload: Any = None, shortfall: Any = None, set_overload: Any = None, set_shortfall: Any = None
    ) -> "AlignmentProblem":
        """Return the same problem with bounds priced instead of hard.

        Parameters
        ----------
        overload, shortfall
            Scalar or (num_experts,), fitness per unit beyond the expert's bound; None leaves that side as it is.
        set_overload, set_shortfall
            Scalar or (num_sets,), the same for the bounds of sets of experts.
        """
        given = {
            "overload_penalty": overload,
            "shortfall_penalty": shortfall,
            "set_overload_penalty": set_overload,
            "set_shortfall_penalty": set_shortfall,
        }
        return replace(self, **{field: penalty for field, penalty in given.items() if penalty is not None})

    def _repr_html_(self) -> str:
        return problem_html(self)

    def __repr__(self) -> str:
        asked = ", ".join(sorted(self.features)) or "nothing but client capacities"
        return f"AlignmentProblem({self.num_clients} clients x {self.num_experts} experts, {self.class_}: {asked})"


FIELDS = tuple(field.name for field in fields(AlignmentProblem) if field.name not in NAMES)
"""The arguments that hold numbers: all but the names."""

__all__ = ["FIELDS", "AlignmentProblem", "Feature", "ProblemClass"]
