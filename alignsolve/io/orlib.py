"""The OR-Library's format of generalised assignment problems, and its instances as alignments.

A file holds numbers separated by white space; line breaks have no meaning. The numbers are ``m n`` (agents, jobs), then
m×n costs agent by agent, then m×n resources that a job takes from an agent, then m capacities. As an alignment, jobs
are clients that get exactly one expert, and agents are experts. The resource is the load that the client puts on the
expert. A file can be read in two senses: "min" reads costs (fitness is minus the cost), "max" reads profits.

Source: J. E. Beasley, OR-Library: distributing test problems by electronic mail, JORS 41 (1990).
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np

from alignsolve.data.validation import unspread
from alignsolve.numerics import MAX_INTEGER, FloatArray, RealArray
from alignsolve.problem import AlignmentProblem

Sense = Literal["min", "max"]
SENSES: tuple[Sense, ...] = ("min", "max")
NUMBERS_PER_LINE = 20


def read(path: str | os.PathLike[str], *, sense: Sense = "min") -> AlignmentProblem:
    """Read a GAP file.

    Parameters
    ----------
    path
        The file, which holds one instance.
    sense
        "min": the costs are minimised; "max": the costs are profits and are maximised.

    Raises
    ------
    ValueError
        If a number is missing, superfluous, negative or unreadable. The message names the file, the number and the
        line.
    """
    _check_sense(sense)
    numbers = _Numbers(Path(path))
    num_agents, num_jobs = numbers.size("agents"), numbers.size("jobs")
    numbers.expect(2 * num_agents * num_jobs + num_agents, num_agents, num_jobs)
    cost = numbers.matrix("cost", num_agents, num_jobs)
    load = numbers.matrix("resource", num_agents, num_jobs, negative=False)
    capacity = numbers.take("capacity", num_agents, negative=False)
    return one_each(cost, load, capacity, sense=sense)


def one_each(cost: RealArray, load: RealArray, capacity: RealArray, *, sense: Sense = "min") -> AlignmentProblem:
    """Return the alignment problem in which every job (client) goes to exactly one agent (expert).

    Parameters
    ----------
    cost, load
        (num_agents, num_jobs), agent by agent as in the files. Whole costs are kept as exact integers.
    capacity
        (num_agents,) the agents' capacities.
    sense
        Whether ``cost`` is a cost or a profit.
    """
    _check_sense(sense)
    whole = bool((cost == np.floor(cost)).all()) and float(np.abs(cost).max(initial=0)) <= MAX_INTEGER
    fitness = np.ascontiguousarray(cost.T).astype(np.int64 if whole else np.float64)
    return AlignmentProblem(
        fitness if sense == "max" else -fitness,
        client_capacity=1,
        client_demand=1,
        expert_capacity=capacity,
        client_load=np.ascontiguousarray(load.T),
    )


def write(problem: AlignmentProblem, path: str | os.PathLike[str], *, sense: Sense = "min") -> None:
    """Write a generalised assignment problem; reading the file gives equal numbers.

    Raises
    ------
    ValueError
        If the problem has anything but one expert per client and hard, finite capacities. The message names it.
    """
    _check_sense(sense)
    _refuse_the_inexpressible(problem)
    value = problem.values().T
    load = np.ones(value.shape) if problem.client_load is None else problem.client_load.T
    rows = [np.array(value.shape), *(value if sense == "max" else -value), *load, problem.experts.most]
    with Path(path).open("w", encoding="ascii") as file:
        for row in rows:
            words = [_word(number) for number in row.tolist()]
            lines = [words[at : at + NUMBERS_PER_LINE] for at in range(0, len(words), NUMBERS_PER_LINE)]
            file.writelines(f" {' '.join(line)}\n" for line in lines)


def _check_sense(sense: str) -> None:
    if sense not in SENSES:
        raise ValueError(f"sense is {sense!r}; it must be 'min' (costs) or 'max' (profits)")


def _word(number: float) -> str:
    return str(int(number)) if number == math.floor(number) else repr(number)


def _refuse_the_inexpressible(problem: AlignmentProblem) -> None:
    """Raise ValueError for the first part of a problem that a GAP file cannot express."""
    one = unspread(problem.client_capacity) == 1
    if not (one.all() and (unspread(problem.client_demand) == 1).all()):
        raise ValueError(
            "a GAP file gives every client exactly one expert: client_capacity and client_demand must be 1"
        )
    for field in ("eligible", "required", "expert_group", "client_budget"):
        if getattr(problem, field) is not None:
            raise ValueError(f"a GAP file has no place for {field}")
    if problem.sets is not None:
        raise ValueError("a GAP file has no place for expert_sets")
    if problem.experts.opening.any():
        raise ValueError("a GAP file has no place for optional_demand")
    if problem.experts.hard_demand.any():
        raise ValueError("a GAP file has no place for expert_demand")
    if not np.isfinite(problem.experts.most).all():
        raise ValueError("a GAP file needs a hard, finite expert_capacity for every expert")


@dataclass
class _Numbers:
    """The numbers of a file, read one after the other; error messages name the line."""

    path: Path
    at: int = 0

    def __post_init__(self) -> None:
        self.words = self.path.read_text(encoding="ascii", errors="replace").split()

    def refuse(self, why: str, at: int | None = None) -> NoReturn:
        where = "" if at is None else f", line {self._line(at)}"
        raise ValueError(f"{self.path.name}{where}: {why}")

    def _line(self, at: int) -> int:
        """Return the line of the word with index ``at``; lines are counted from 1."""
        seen = 0
        lines = self.path.read_text(encoding="ascii", errors="replace").splitlines()
        for number, line in enumerate(lines, start=1):
            seen += len(line.split())
            if seen > at:
                return number
        return len(lines)

    def size(self, what: str) -> int:
        """Read the number of agents or of jobs."""
        if self.at >= len(self.words):
            self.refuse(f"the file ends before the number of {what}; a GAP file begins with agents and jobs")
        word = self.words[self.at]
        try:
            size = int(word)
        except ValueError:
            self.refuse(f"the number of {what} is {word!r}, which is no whole number", self.at)
        if size < 1:
            self.refuse(f"the number of {what} is {size}; there must be at least one", self.at)
        self.at += 1
        return size

    def expect(self, count: int, num_agents: int, num_jobs: int) -> None:
        """Refuse a file with more or fewer numbers than its sizes require."""
        found = len(self.words) - self.at
        if found != count:
            told = f"{num_agents} agents and {num_jobs} jobs call for {count} more numbers, there are {found}"
            hint = "is it truncated?" if found < count else "does it hold several instances?"
            self.refuse(f"{told}: {hint}", min(self.at + count, len(self.words) - 1))

    def matrix(self, what: str, num_agents: int, num_jobs: int, *, negative: bool = True) -> FloatArray:
        """Read a number for every agent and job."""
        rows = [self.take(f"{what} of agent {k}", num_jobs, negative=negative) for k in range(num_agents)]
        return np.array(rows).reshape(num_agents, num_jobs)

    def take(self, what: str, count: int, *, negative: bool = True) -> FloatArray:
        """Read ``count`` numbers."""
        words = self.words[self.at : self.at + count]
        values = np.array([self._number(what, k, word) for k, word in enumerate(words)])
        if not negative and (values < 0).any():
            k = int((values < 0).argmax())
            self.refuse(f"{what}, entry {k}: {words[k]} is negative", self.at + k)
        self.at += count
        return values

    def _number(self, what: str, k: int, word: str) -> float:
        try:
            number = float(word)
        except ValueError:
            self.refuse(f"{what}, entry {k}: {word!r} is no number", self.at + k)
        if not math.isfinite(number):
            self.refuse(f"{what}, entry {k}: {word!r} is not finite", self.at + k)
        return number
