"""Numbers of extreme sizes are brought to a size of about 1, by powers of two, before a solver computes with them.

A fitness of 1e-300 or 1e139 is a fitness like any other in another unit. But back ends compare with tolerances such as
1e-7, multiply and add. Fitness and penalties have one unit, the loads of an expert have one, and so have a client's
costs of a resource. No digit is lost: where the smallest number would become too small to be kept, all stay larger.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alignsolve.data.blocks import RowBlocks
from alignsolve.data.rows import distinct
from alignsolve.data.stored import StoredPairs
from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.presolve.reduction import Reduction, changed, with_prices
from alignsolve.problem import AlignmentProblem
from alignsolve.solver import Answer, WarmStart

EXTREME = 64
"""Binary digits above and below 1 within which nothing is scaled."""
DEEPEST = 1000
"""Binary digits below 1 that a number may have after scaling: 1021 keep all digits."""
USUAL = 2.0**128
"""Prices up to which a warm start is kept: the fitness is scaled to about 1, and penalties seldom decide prices."""
MOST = 400
"""Binary digits above 1 that no number has after scaling; 465 are allowed."""
FEW_CLIENTS = 1024
"""Clients whose fitness is looked at: a few tell the unit."""
TELLING = 8
"""Clients that mostly show that the fitness is not extreme."""


@dataclass(frozen=True, eq=False)
class Rescaled:
    """The reduction to numbers of about 1.

    Attributes
    ----------
    problem, told, proves_more, only_by_rounding
        As in :class:`~alignsolve.presolve.reduction.Reduction`.
    value, load
        Exponents of the units: of the fitness, and (num_experts,) of the experts' loads.
    """

    problem: AlignmentProblem
    value: int
    load: IntArray
    told: str = "extreme numbers were scaled"
    proves_more: bool = False
    only_by_rounding: bool = False

    def lift_answer(self, answer: Answer) -> Answer:
        """Return prices and bound in the units of the problem before."""
        bound = answer.bound
        if self.value and math.isfinite(bound):
            bound = _times_two_to(float(bound), self.value)
        lifted = with_prices(answer, len(self.load), self._lift_prices)
        of_sets, given = self.problem.num_sets, answer.prices
        if of_sets and given is not None and np.shape(given) == (len(self.load) + of_sets,):
            lifted = replace(lifted, prices=np.ldexp(given, self.value))  # with sets, loads keep their unit
        return replace(lifted, bound=bound)

    def _lift_prices(self, prices: FloatArray, directions: bool) -> FloatArray:
        """Return prices in the units before; directions have no unit of fitness."""
        with np.errstate(over="ignore"):
            lifted: FloatArray = np.ldexp(prices, (0 if directions else self.value) - self.load)
        return lifted

    def lower_warm_start(self, warm: WarmStart) -> WarmStart:
        """Return prices in the units of the scaled problem; none where they are far beyond its fitness."""
        if warm.prices is None:
            return warm
        with np.errstate(over="ignore"):
            unit = np.append(self.load, np.zeros(len(warm.prices) - len(self.load), dtype=np.int64)) - self.value
            prices = np.ldexp(warm.prices, unit)
        return warm._replace(prices=prices if (np.abs(prices) <= USUAL).all() else None)


def scale_extremes(problem: AlignmentProblem) -> Reduction | None:
    """Scale what is extreme; None if nothing is."""
    if isinstance(problem.fitness, RowBlocks):
        return None
    load = np.zeros(problem.num_experts, dtype=np.int64)
    # The load of a set is a sum over experts, which then must keep one unit.
    if problem.client_load is not None and problem.sets is None and not _none_is_extreme(problem.client_load):
        load = _exponents(np.where(_allowed(problem), problem.client_load, 0.0), axis=0)
    value = _unit_of_values(problem, load)
    cost = None
    if problem.expert_cost is not None and not _none_is_extreme(problem.expert_cost, problem.client_budget):
        cost = _units_of_costs(problem)
    if not value and not load.any() and (cost is None or not cost.any()):
        return None
    fields: dict[str, object] = {}
    if value:
        fields |= {name: _times(getattr(problem, name), -value) for name in ("fitness", "switching_cost")}
    if value or load.any():
        penalties = ("overload_penalty", "shortfall_penalty")
        fields |= {name: np.ldexp(getattr(problem, name), load - value) for name in penalties}
        if problem.sets is not None:
            of_sets = ("set_overload_penalty", "set_shortfall_penalty")
            fields |= {name: np.ldexp(getattr(problem, name), -value) for name in of_sets}
    if load.any():
        fields |= {name: np.ldexp(getattr(problem, name), -load) for name in ("expert_capacity", "expert_demand")}
        fields["client_load"] = np.ldexp(problem.client_load, -load)
        if problem.optional_demand is not None:
            fields["optional_demand"] = np.ldexp(problem.optional_demand, -load)
    if cost is not None and cost.any():
        budget = np.ldexp(problem.client_budget, -cost)
        fields["client_budget"] = np.where(budget > 2.0**MOST, np.inf, budget)  # no costs come near
        fields["expert_cost"] = np.ldexp(problem.expert_cost, -cost[:, None, :])
    return Rescaled(changed(problem, **fields), value, load)


def _unit_of_values(problem: AlignmentProblem, load: IntArray) -> int:
    """The exponent of the largest fitness, as the first clients show it; 0 if it is not extreme, or of integers.

    It is larger where a penalty would become too large in this unit, or the fitness or switching cost of any pair:
    one that no client pays, as it had the expert before, or that of a client that was not looked at.
    """
    if np.dtype(problem.fitness.dtype) != np.float64:
        return 0
    value = 0 if _is_tame(problem) else int(_exponents(_sizes(problem, FEW_CLIENTS), axis=0))
    fitness = problem.fitness if problem.stored is None else problem.stored.values
    if value < 0:
        beyond = (_largest_exponent(problem, field) - MOST for field in (fitness, problem.switching_cost))
        value = max(value, *beyond)
    if value and not np.array_equal(np.ldexp(np.ldexp(fitness, -value), value), fitness, equal_nan=True):
        return 0
    penalties = np.stack([problem.overload_penalty, problem.shortfall_penalty])
    paid = np.isfinite(penalties) & (penalties > 0)
    largest = int(np.where(paid, np.frexp(np.where(paid, penalties, 1.0))[1] + load, -MOST).max(initial=-MOST))
    if problem.sets is not None:
        of_sets = np.concatenate([problem.set_overload_penalty, problem.set_shortfall_penalty])
        paid = of_sets[np.isfinite(of_sets) & (of_sets > 0)]
        largest = max(largest, int(np.frexp(paid)[1].max(initial=-MOST)))
    return max(value, largest - MOST) if largest - value > MOST else value


def _largest_exponent(problem: AlignmentProblem, field: Any) -> int:
    """The exponent of the largest number of a field of pairs, where these are eligible."""
    if isinstance(field, StoredPairs):
        sizes = np.abs(field.values)
    elif problem.eligible is None or problem.stored is not None:
        sizes = np.abs(distinct(field))
    else:
        sizes = np.abs(np.where(problem.eligible, field, 0.0))
    return int(np.frexp(sizes.max(initial=0.0))[1])


def _is_tame(problem: AlignmentProblem) -> bool:
    """Whether it is clear, without a copy of the fitness, that the largest one is not extreme."""
    if problem.eligible is None and not problem.has_switching_costs:
        return 2.0**-EXTREME <= problem.largest_fitness < 2.0**EXTREME
    switching = distinct(problem.switching_cost)
    largest = problem.largest_fitness + float(max(-switching.min(initial=0.0), switching.max(initial=0.0)))
    return largest < 2.0**EXTREME and bool(_sizes(problem, TELLING).max(initial=0.0) >= 2.0**-EXTREME)


def _none_is_extreme(*fields: FloatArray) -> bool:
    """Whether all finite numbers of some fields are 0 or not extreme, those of ineligible pairs too."""
    for field in fields:
        sizes = distinct(field)
        used = sizes[(sizes > 0) & np.isfinite(sizes)]
        if used.min(initial=1.0) < 2.0**-EXTREME or used.max(initial=1.0) >= 2.0**EXTREME:
            return False
    return True


def _sizes(problem: AlignmentProblem, clients: int) -> FloatArray:
    """The sizes of the first clients' fitness minus switching costs, 0 where a pair is not eligible."""
    block = problem.block(0, min(problem.num_clients, clients))
    sizes = np.abs(block.value if block.allowed is None else np.where(block.allowed, block.value, 0.0))
    return sizes.astype(np.float64, copy=False).ravel()


def _times(field: Any, exponent: int) -> Any:
    """A field times a power of two; of a sparse one, what it stores."""
    if isinstance(field, StoredPairs):
        return field.valued(np.ldexp(field.values, exponent))
    return np.ldexp(field, exponent)


def _units_of_costs(problem: AlignmentProblem) -> IntArray:
    """(num_clients, num_resources) exponents of the largest cost, or of a smaller budget."""
    allowed = _allowed(problem)[:, :, None]
    cost = np.where(allowed, problem.expert_cost, 0.0)
    largest = cost.max(axis=1, initial=0.0)
    budget = np.where(np.isfinite(problem.client_budget), problem.client_budget, 0.0)
    within = np.where((budget > 0)[:, None, :], np.minimum(cost, budget[:, None, :]), cost)
    exponents = _exponents(within, axis=1)
    too_large = np.frexp(largest)[1] - exponents > MOST
    return np.where(too_large, np.frexp(largest)[1] - MOST, exponents)


def _allowed(problem: AlignmentProblem) -> BoolArray:
    return np.ones((1, 1), dtype=np.bool_) if problem.eligible is None else problem.eligible


def _exponents(sizes: FloatArray, *, axis: int) -> IntArray:
    """Exponents of the largest sizes along an axis; 0 where these are not extreme.

    A smaller one where the smallest size above 0 would lose its digits.
    """
    largest = sizes.max(axis=axis, initial=0.0)
    smallest = np.where(sizes > 0, sizes, np.inf).min(axis=axis, initial=np.inf)
    exponents = np.frexp(largest)[1].astype(np.int64)
    least = np.frexp(np.where(np.isfinite(smallest), smallest, 1.0))[1].astype(np.int64)
    scaled = np.where((largest > 0) & (np.abs(exponents) > EXTREME), np.minimum(exponents, least + DEEPEST), 0)
    return scaled.astype(np.int64)


def _times_two_to(number: float, exponent: int) -> float:
    try:
        return math.ldexp(number, exponent)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
