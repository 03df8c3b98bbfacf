"""The open pairs of an instance as a linear or an integer program, solved by HiGHS on one thread.

Rows of loads are divided by a power of two, and costs are scaled to a size that suits HiGHS's absolute tolerances.
The result is a claim: the caller checks an alignment before use and rounds a bound before use.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.solver import Answer
from alignsolve.solvers.common.last_answer import last_answer
from alignsolve.solvers.generalised_assignment.instance import Instance
from alignsolve.solvers.ilp.model import power_of_two_below

MARGIN = 0.1
"""Share of the time that HiGHS is not told of: it overruns its limit, and its result must still be read."""
LARGEST_COST = 2.0**20
"""Whole costs up to here stay as they are; larger ones are scaled to it."""
NEARLY_ONE = 0.999
"""Whole costs differ by one: a gap below this is closed."""
BOUND_ERROR = 1e-7
"""Possible error of HiGHS's bound, as a share of the costs that it adds up."""


class Verdict(Enum):
    """HiGHS's verdict when it returns."""

    OPTIMAL = auto()
    INFEASIBLE = auto()
    STOPPED = auto()
    FAILED = auto()


@dataclass(frozen=True)
class Outcome:
    """The result of a run of HiGHS.

    Attributes
    ----------
    verdict
        Not to be trusted further than its tolerances.
    share
        (num_clients, num_experts) values of the pairs, if there are any.
    lower
        No alignment of open pairs costs less, rounded down by HiGHS's possible error; −inf if it returned no bound.
    prices
        (num_experts,) of an optimal linear program: the worth of one more unit of capacity.
    told
        HiGHS's own status.
    """

    verdict: Verdict
    share: FloatArray | None
    lower: float
    prices: FloatArray | None = None
    told: str = ""

    def chosen(self) -> IntArray | None:
        """(num_clients,) the expert with the largest share."""
        return None if self.share is None else self.share.argmax(axis=1)


def relax(instance: Instance, seconds: float) -> Outcome:
    """Solve the linear relaxation."""
    program = _Program(instance, instance.open)
    program.whole = False
    return program.run(seconds)


def optimise(
    instance: Instance, opened: BoolArray, start: IntArray | None, seconds: float, *, seed: int = 0
) -> Outcome:
    """Solve the integer program over some pairs.

    Parameters
    ----------
    instance
        Costs, loads and capacities.
    opened
        (num_clients, num_experts) the pairs that may be taken.
    start
        (num_clients,) an alignment of open pairs to start from.
    seconds
        When to stop; HiGHS may take a little longer.
    seed
        For HiGHS's random numbers.
    """
    if not opened.any(axis=1).all():
        return Outcome(Verdict.INFEASIBLE, None, math.inf)
    program = _Program(instance, opened)
    return program.run(seconds, start=start, seed=seed)


def optimise_apart(
    instance: Instance, opened: BoolArray, start: IntArray | None, end: float, *, seed: int = 0
) -> Answer | None:
    """Solve the integer program; under a time limit in a child process that can be stopped. None if it found nothing.

    Parameters
    ----------
    instance, opened, start, seed
        As in :func:`optimise`.
    end
        On the clock of :func:`time.monotonic`.

    Returns
    -------
    Answer or None
        Its ``x`` is (num_clients,) experts; its stats tell whether it is optimal, and HiGHS's own status.
    """

    def work() -> Iterator[Answer]:
        outcome = optimise(instance, opened, start, (1.0 - MARGIN) * (end - time.monotonic()), seed=seed)
        yield Answer(
            x=outcome.chosen(),
            bound=outcome.lower,
            infeasible=outcome.verdict is Verdict.INFEASIBLE,
            stats={"optimal": outcome.verdict is Verdict.OPTIMAL, "told": outcome.told},
        )

    return last_answer(work, end)


class _Program:
    """The program of some open pairs: one column for each pair, one row for each client and each expert."""

    def __init__(self, instance: Instance, opened: BoolArray) -> None:
        self.instance = instance
        self.clients, self.experts = np.nonzero(opened)
        cost = instance.cost[self.clients, self.experts]
        largest = float(np.abs(cost).max(initial=0.0))
        small = instance.whole and largest <= LARGEST_COST
        self.unit = 1.0 if small else power_of_two_below(largest) / LARGEST_COST
        self.cost = cost / self.unit
        self.whole = True
        self.error = BOUND_ERROR * float(np.abs(np.where(opened, instance.cost, 0.0)).max(axis=1).sum())

    def run(self, seconds: float, *, start: IntArray | None = None, seed: int = 0) -> Outcome:
        """Pass the program to HiGHS and read the result."""
        import highspy  # noqa: PLC0415  (a back end is loaded when it is used)

        highs = highspy.Highs()
        for option, value in self._options(seconds, seed).items():
            highs.setOptionValue(option, value)
        highs.passModel(self._model(highspy))
        if start is not None:
            given = highspy.HighsSolution()
            given.col_value = (start[self.clients] == self.experts).astype(np.float64).tolist()
            highs.setSolution(given)
        highs.run()
        return self._read(highspy, highs)

    def _options(self, seconds: float, seed: int) -> dict[str, Any]:
        """HiGHS's options."""
        options: dict[str, Any] = {
            "output_flag": False,
            "threads": 1,
            "parallel": "off",
            "random_seed": seed % 2**31,
            "mip_rel_gap": 0.0,
            "mip_abs_gap": NEARLY_ONE if self.instance.whole and self.unit == 1.0 else 0.0,
        }
        if math.isfinite(seconds):
            options["time_limit"] = max(seconds, 0.0)
        return options

    def _model(self, highspy: Any) -> Any:
        """HiGHS's model: columns are pairs; a client's row sums to 1; an expert's row is its load."""
        num_clients, num_experts = self.instance.shape
        columns, rows = len(self.cost), num_clients + num_experts
        load = self.instance.load[self.clients, self.experts]
        heaviest = np.zeros(num_experts)
        np.maximum.at(heaviest, self.experts, load)
        units = np.array([power_of_two_below(size) for size in heaviest.tolist()])
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = columns, rows
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = self.cost, np.zeros(columns), np.ones(columns)
        lp.row_lower_ = np.concatenate([np.ones(num_clients), np.full(num_experts, -highspy.kHighsInf)])
        lp.row_upper_ = np.concatenate([np.ones(num_clients), self.instance.most / units])
        if self.whole:
            lp.integrality_ = [highspy.HighsVarType.kInteger] * columns
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_ = np.arange(0, 2 * columns + 1, 2)
        lp.a_matrix_.index_ = np.stack([self.clients, num_clients + self.experts], axis=1).ravel()
        lp.a_matrix_.value_ = np.stack([np.ones(columns), load / units[self.experts]], axis=1).ravel()
        self.units = units
        return lp

    def _read(self, highspy: Any, highs: Any) -> Outcome:
        """Read HiGHS's status, solution, bound and duals."""
        status = highs.getModelStatus()
        known = {
            highspy.HighsModelStatus.kOptimal: Verdict.OPTIMAL,
            highspy.HighsModelStatus.kInfeasible: Verdict.INFEASIBLE,
            highspy.HighsModelStatus.kTimeLimit: Verdict.STOPPED,
        }
        verdict, info = known.get(status, Verdict.FAILED), highs.getInfo()
        told = str(highs.modelStatusToString(status))
        if verdict is Verdict.INFEASIBLE:
            return Outcome(verdict, None, math.inf, told=told)
        if verdict is Verdict.FAILED:
            return Outcome(verdict, None, -math.inf, told=told)
        share = None
        if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
            share = np.zeros(self.instance.shape)
            share[self.clients, self.experts] = highs.getSolution().col_value
        if self.whole:
            return Outcome(verdict, share, info.mip_dual_bound * self.unit - self.error, told=told)
        if verdict is not Verdict.OPTIMAL:
            return Outcome(verdict, None, -math.inf, told=told)
        duals = np.array(highs.getSolution().row_dual)[self.instance.shape[0] :]
        prices = np.maximum(-duals * self.unit / self.units, 0.0)
        return Outcome(verdict, share, info.objective_function_value * self.unit - self.error, prices, told)
