"""The open pairs of an instance as a linear or an integer program, solved by HiGHS on one thread.

Rows of loads are divided by a power of two, and costs are scaled to a size that suits HiGHS's absolute tolerances.
HiGHS's answer is a claim: the caller checks the alignment and rounds the bound.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.solver import Answer
from alignsolve.solvers.common.integer_program import Reply, RowKind, by_columns, power_of_two_below
from alignsolve.solvers.common.last_answer import last_answer
from alignsolve.solvers.generalised_assignment.instance import Instance

MARGIN = 0.1
"""Share of its time that HiGHS does not get: it overruns its limit, and its incumbent is wanted."""
LARGEST_COST = 2.0**20
"""Whole costs up to here stay as they are; larger ones are scaled to it."""
NEARLY_ONE = 0.999
"""Whole costs differ by one: a gap below this is closed."""
BOUND_ERROR = 1e-7
"""The largest error of a bound of HiGHS, as a share of the costs that it adds up."""


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
    instance: Instance,
    opened: BoolArray,
    start: IntArray | None,
    seconds: float,
    *,
    seed: int = 0,
    presolve: bool = True,
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
    presolve
        Whether HiGHS simplifies the program.
    """
    if not opened.any(axis=1).all():
        return Outcome(Verdict.INFEASIBLE, None, math.inf)
    program = _Program(instance, opened)
    return program.run(seconds, start=start, seed=seed, presolve=presolve)


def optimise_apart(
    instance: Instance,
    opened: BoolArray,
    start: IntArray | None,
    end: float,
    *,
    seed: int = 0,
    presolve: bool = True,
) -> Answer | None:
    """Solve the integer program over some pairs, under a time limit in a process that can be stopped.

    Parameters
    ----------
    instance, opened, start, seed, presolve
        As in :func:`optimise`.
    end
        On the clock of :func:`time.monotonic`.

    Returns
    -------
    Answer or None
        Its ``x`` is (num_clients,) experts. Its stats tell whether it is optimal, and HiGHS's status. None: nothing
        came in time.
    """

    def work() -> Iterator[Answer]:
        seconds = (1.0 - MARGIN) * (end - time.monotonic())
        outcome = optimise(instance, opened, start, seconds, seed=seed, presolve=presolve)
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
        num_clients, num_experts = instance.shape
        self.clients, self.experts = np.nonzero(opened)
        cost = instance.cost[self.clients, self.experts]
        largest = float(np.abs(cost).max(initial=0.0))
        small = instance.whole and largest <= LARGEST_COST
        self.unit = 1.0 if small else power_of_two_below(largest) / LARGEST_COST
        self.cost = cost / self.unit
        self.whole = True
        self.error = BOUND_ERROR * float(np.abs(np.where(opened, instance.cost, 0.0)).max(axis=1).sum())
        one_each, load = np.ones(num_clients), instance.load[self.clients, self.experts]
        client = RowKind("client", (num_clients,), self.clients, np.ones(len(cost)), one_each, one_each)
        expert = RowKind("expert", (num_experts,), self.experts, load, np.full(num_experts, -np.inf), instance.most)
        self.units = expert.units()
        self.kinds = (client, expert.divided(self.units))

    def run(self, seconds: float, *, start: IntArray | None = None, seed: int = 0, presolve: bool = True) -> Outcome:
        """Hand the program over and read HiGHS's answer."""
        from alignsolve.solvers.common import highs  # noqa: PLC0415  (a back end is loaded when it is used)

        start_of_column, index, value = by_columns(self.kinds)
        program = highs.MatrixProgram(
            cost=self.cost,
            lower=np.zeros(len(self.cost)),
            upper=np.ones(len(self.cost)),
            whole=np.full(len(self.cost), self.whole) if self.whole else None,
            row_lower=np.concatenate([kind.least for kind in self.kinds]),
            row_upper=np.concatenate([kind.most for kind in self.kinds]),
            by_rows=False,
            start=start_of_column,
            index=index,
            value=value,
        )
        options = highs.options(
            seed=seed,
            seconds=seconds,
            relative_gap=0.0,
            absolute_gap=NEARLY_ONE if self.instance.whole and self.unit == 1.0 else 0.0,
            show=False,
        )
        if not presolve:
            options["presolve"] = "off"
        given = None if start is None else (start[self.clients] == self.experts).astype(np.float64)
        known = {
            highs.Status.kOptimal: Verdict.OPTIMAL,
            highs.Status.kInfeasible: Verdict.INFEASIBLE,
            highs.Status.kTimeLimit: Verdict.STOPPED,
        }
        reply = highs.run(program, options, given)
        return self._read(reply, known.get(reply.status, Verdict.FAILED))

    def _read(self, reply: Reply, verdict: Verdict) -> Outcome:
        if verdict is Verdict.INFEASIBLE:
            return Outcome(verdict, None, math.inf, told=reply.told)
        if verdict is Verdict.FAILED:
            return Outcome(verdict, None, -math.inf, told=reply.told)
        share = None
        if reply.feasible and reply.values is not None:
            share = np.zeros(self.instance.shape)
            share[self.clients, self.experts] = reply.values
        if self.whole:
            return Outcome(verdict, share, reply.bound * self.unit - self.error, told=reply.told)
        if verdict is not Verdict.OPTIMAL or reply.duals is None:
            return Outcome(verdict, None, -math.inf, told=reply.told)
        duals = reply.duals[self.instance.shape[0] :]
        prices = np.maximum(-duals * self.unit / self.units, 0.0)
        return Outcome(verdict, share, reply.objective * self.unit - self.error, prices, reply.told)
