"""The classes of a family of instances: a function that makes one, and the reason if all of them are infeasible."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from alignsolve import AlignmentProblem
from alignsolve.numerics import BoolArray, IntArray


class Make(Protocol):
    """A function that makes an instance from a generator and sizes only; other parameters have defaults."""

    def __call__(self, rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
        """Make one instance."""
        ...


def no_expert(problem: AlignmentProblem) -> BoolArray:
    """Return the empty set of experts: the reason lies with single clients."""
    return np.zeros(problem.num_experts, dtype=np.bool_)


def every_expert(problem: AlignmentProblem) -> BoolArray:
    """Return the set of all experts."""
    return np.ones(problem.num_experts, dtype=np.bool_)


def every_set(problem: AlignmentProblem) -> IntArray:
    """Count the bounds of all sets of experts."""
    return np.ones(problem.num_sets, dtype=np.int64)


def first_set(problem: AlignmentProblem) -> IntArray:
    """Count the bound of the first set of experts."""
    return (np.arange(problem.num_sets) == 0).astype(np.int64)


@dataclass(frozen=True)
class Reason:
    """The reason why no instance of a family can be solved.

    Attributes
    ----------
    side
        The side of every witness of an instance.
    experts
        Function of an instance that returns the experts of one witness as (num_experts,) bools. Other witnesses may
        exist. For "row" all are False.
    sets
        Function of an instance that returns how its sets of experts count, (num_sets,) as in a witness; None: not.
    """

    side: Literal["demand", "capacity", "row"]
    experts: Callable[[AlignmentProblem], BoolArray]
    sets: Callable[[AlignmentProblem], IntArray] | None = None


@dataclass(frozen=True)
class Family:
    """A family, and whether all its instances are feasible.

    Attributes
    ----------
    make
        Makes an instance: ``family(rng, num_clients=…, num_experts=…)`` calls it.
    infeasible
        The reason why all instances are infeasible; None: all are feasible by construction.
    """

    make: Make
    infeasible: Reason | None = None

    @property
    def feasible(self) -> bool:
        """Whether every instance has a feasible alignment; otherwise none has."""
        return self.infeasible is None

    def __call__(self, rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
        """Make an instance with at least one client and one expert; the same state of ``rng`` gives the same one."""
        if num_clients < 1 or num_experts < 1:
            raise ValueError(f"an instance needs a client and an expert, not {num_clients} x {num_experts}")
        return self.make(rng, num_clients=num_clients, num_experts=num_experts)
