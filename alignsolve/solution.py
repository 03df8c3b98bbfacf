"""Solution: a checked answer, and the errors that are raised when there is none."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np

from alignsolve.certificate.tree import ProofTree
from alignsolve.certificate.witness import Witness
from alignsolve.data.alignment import Alignment
from alignsolve.numerics import BoolArray, FloatArray, Number, relative_gap
from alignsolve.problem import AlignmentProblem
from alignsolve.show import html, pairs, plot, reasons


class Status(StrEnum):
    """What is known about the problem after solving; proven, not claimed."""

    OPTIMAL = "OPTIMAL"
    """The alignment is feasible, and the bound equals its objective."""
    FEASIBLE = "FEASIBLE"
    """The alignment is feasible; the gap tells how far from the best it may be."""
    INFEASIBLE = "INFEASIBLE"
    """No alignment exists."""
    UNKNOWN = "UNKNOWN"
    """No alignment was found, and it is not proven that none exists."""


class Proof(StrEnum):
    """What proves OPTIMAL or INFEASIBLE."""

    PRICES = "PRICES"
    """Expert prices, or a witness, recomputed from the problem's own data."""
    TREE = "TREE"
    """A tree of cases, each closed by prices that were recomputed from the problem's own data (general class only)."""
    SOLVER = "SOLVER"
    """The back end's own bound or exhausted search (general class only)."""
    NONE = "NONE"
    """Nothing is proven: the status is FEASIBLE or UNKNOWN."""


@dataclass(frozen=True, eq=False)
class Solution:
    """A checked answer.

    Attributes
    ----------
    problem
        What was solved.
    status, proof
        What is known, and what proves it.
    assigned
        The alignment in CSR form, (indptr, experts); None if there is none.
    objective
        Recomputed from the problem's data, an exact int for integral problems; None if there is no alignment.
    bound
        No alignment's objective exceeds it; −inf when infeasible.
    loads
        (num_experts,) load per expert; None if there is no alignment.
    prices
        (num_experts,) prices behind the bound, in fitness per unit of load: what a client pays for each expert. Where
        experts are in sets, these are their own prices and those of the sets around them. None if the solver gave none
        and prices of zero prove nothing.
    witness
        Why there is no alignment; None if there is one, or if only a tree or a back end shows that there is none.
    tree
        The proof by cases behind the bound, or behind infeasibility; None if prices prove as much.
    runtime
        Seconds, checking included.
    stats
        What the solver reports of its run; ``stats["solver"]`` is its name.
    set_loads, set_prices
        (num_sets,) load and price per set of experts; None without sets, or where loads and prices are None.
    """

    problem: AlignmentProblem
    status: Status
    proof: Proof
    assigned: Alignment | None
    objective: Number | None
    bound: Number
    loads: FloatArray | None
    prices: FloatArray | None
    witness: Witness | None
    runtime: float
    stats: Mapping[str, Any] = field(default_factory=dict)
    tree: ProofTree | None = None
    set_loads: FloatArray | None = None
    set_prices: FloatArray | None = None

    @cached_property
    def own_prices(self) -> FloatArray | None:
        """The experts' own prices, (num_experts,): what clients pay without the prices of the sets around them."""
        if self.prices is None or self.problem.sets is None or self.set_prices is None:
            return self.prices
        own: FloatArray = self.prices - self.problem.sets.around(self.set_prices)
        return own

    @cached_property
    def joint_prices(self) -> FloatArray | None:
        """(num_experts + num_sets,) the prices, and then those of the sets: what ``Answer.prices`` holds."""
        if self.prices is None or self.set_prices is None:
            return self.prices
        return np.append(self.prices, self.set_prices)

    @cached_property
    def x(self) -> BoolArray | None:
        """The alignment as a (num_clients, num_experts) matrix of bools, made when asked."""
        return None if self.assigned is None else self.assigned.to_dense(self.problem.num_experts)

    @property
    def gap(self) -> float:
        """Relative gap between bound and objective: 0 is a proof, inf means nothing is known."""
        if self.objective is None:
            return math.inf
        return relative_gap(self.bound, self.objective)

    def explain(self, *, client: Any = None, expert: Any = None) -> str:
        """Tell what is known, and why; or why one client got its experts, or who got one expert.

        Parameters
        ----------
        client
            A client's name, or its number: its experts, their reduced fitness, what the one that it might have wished
            for would have cost, and what would change it.
        expert
            An expert's name, or its number: its clients, what one more place is worth, and who almost got it.

        Raises
        ------
        ValueError
            If there is no such client or expert.

        Examples
        --------
        >>> from alignsolve import AlignmentProblem, solve
        >>> names = {"client_names": ["Ann", "Bob"], "expert_names": ["x", "y"]}
        >>> solution = solve(AlignmentProblem([[6, 1], [4, 3]], expert_capacity=1, **names))
        >>> print(solution.explain(client="Ann"))
        client Ann has expert x; it is eligible for 2 and may have 1
          expert x: fitness 6, price 1, reduced fitness 5 (has it)
          expert y: fitness 1, price 0, reduced fitness 1
        of the experts that it does not have, expert y has the highest fitness, 1; it would lose 4 by it at these prices
        so no alignment in which it has expert y is worth more than 5; at these prices it would change if that fitness\
 were 5 or more
        """
        problem = self.problem
        if client is not None:
            i = reasons.member(problem.client_names, "client", client, problem.num_clients)
            return "\n".join(reasons.client_lines(self, i))
        if expert is not None:
            j = reasons.member(problem.expert_names, "expert", expert, problem.num_experts)
            return "\n".join(reasons.expert_lines(self, j))
        if self.status is Status.INFEASIBLE:
            if self.tree is not None:
                return f"infeasible: no alignment is in any of {self._cases()}"
            if self.witness is None:
                return "infeasible: the back end searched all alignments and found none"
            return f"infeasible: {self.witness.explain(self.problem)}"
        if self.objective is None:
            why = self.stats.get("rejected") or self.stats.get("stopped") or "the solver returned none"
            return f"no alignment found by {self.stats.get('solver')}: {why}"
        known = f"{self.status.lower()}: objective {self.objective:.12g}, bound {self.bound:.12g}, gap {self.gap:.3g}"
        return known if self.tree is None else f"{known}, by {self._cases()}"

    def _cases(self) -> str:
        """The size of the tree, in words."""
        assert self.tree is not None
        cases, prices = self.tree.num_leaves, len(self.tree.prices)
        return f"{cases} case{'s' * (cases != 1)} with {prices} set{'s' * (prices != 1)} of prices"

    def to_frame(self, library: str | None = None) -> Any:
        """Return the selected pairs as a data frame with the columns client, expert and fitness.

        Parameters
        ----------
        library
            "pandas", "polars" or "pyarrow"; None: that of the frame from which the problem was made, else pandas.

        Raises
        ------
        ValueError
            If there is no alignment.
        ImportError
            If the library is not installed; all but pandas need the extra ``[tables]`` too.
        """
        return pairs.frame_of(self, library or self.problem.library)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the selected pairs to a CSV file: client, expert, fitness. It replaces an existing file.

        Raises
        ------
        ValueError
            If there is no alignment.
        OSError
            If the file cannot be written.
        """
        pairs.write_csv(pairs.columns_of(self), path)

    def plot(self) -> Any:
        """Draw loads with their bounds, prices, the alignment, and the margins of the clients' choices.

        Returns
        -------
        matplotlib.figure.Figure
            A notebook shows it; ``figure.savefig(path)`` writes it.

        Raises
        ------
        ValueError
            If there is no alignment.
        ImportError
            If matplotlib is not installed; the extra ``[plot]`` brings it.
        """
        return plot.figure_of(self)

    def _repr_html_(self) -> str:
        return html.solution_html(self)

    def __repr__(self) -> str:
        return f"Solution({self.explain()}, proof {self.proof}, {self.runtime:.3g} s)"


class SolveError(RuntimeError):
    """No alignment was found, or a solver's answer did not pass the check. ``solution`` holds what is known."""

    def __init__(self, message: str, solution: Solution | None = None) -> None:
        super().__init__(message)
        self.solution = solution


class InfeasibleError(SolveError):
    """No alignment exists. ``witness`` tells why, unless only a back end's exhausted search shows it."""

    @property
    def witness(self) -> Witness | None:
        """The set of experts that proves it."""
        return None if self.solution is None else self.solution.witness


class UnsupportedError(SolveError, ValueError):
    """The chosen solver cannot take this problem; the message names the feature and the solvers that can."""
