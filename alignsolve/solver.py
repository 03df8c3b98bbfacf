"""The solver protocol: a callable that returns an answer, and a declaration of the problems that it can take."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from alignsolve.certificate.tree import ProofTree
from alignsolve.certificate.witness import Witness
from alignsolve.data.alignment import Alignment
from alignsolve.numerics import FloatArray, Number
from alignsolve.problem import AlignmentProblem, Feature

SETS = frozenset({Feature.EXPERT_SETS, Feature.CROSSING_SETS})
"""Features of problems with sets of experts. A solver that takes sets says so: it adds them."""
OPTIONAL = frozenset({Feature.OPTIONAL_DEMANDS})
"""Experts that are closed or have at least so much load. A solver that takes them says so: it adds this."""
EVERYTHING = frozenset(Feature) - SETS - OPTIONAL - {Feature.SPARSE}
"""All features of problems whose fitness is a full matrix, without sets of experts and optional demands. A solver of
sparse problems says so: it adds that one."""
CARDINALITY = EVERYTHING - {Feature.WEIGHTED_LOADS, Feature.BUDGETS}
CLIENT_SIDE = EVERYTHING - {Feature.HARD_EXPERT_CAPACITIES, Feature.HARD_EXPERT_DEMANDS}


@dataclass(frozen=True)
class Capabilities:
    """What a solver takes and promises.

    Attributes
    ----------
    takes
        Features of problems that it respects. A problem that asks for another is refused before the solver starts.
        Sparse problems, sets of experts and optional demands are not among the default, as a solver must read them
        in another way.
    exact
        Whether, given time, it proves its answer optimal wherever the problem's class allows it.
    presolve
        Whether it may get a simpler problem with the same optimum in place of the problem as given: other bounds, or
        parts of it. A method that is defined by the bounds as they are given, such as a baseline, says no.
    """

    takes: frozenset[Feature] = EVERYTHING
    exact: bool = False
    presolve: bool = False


class WarmStart(NamedTuple):
    """What is known from an earlier, similar problem: either part may be missing, and neither is trusted."""

    alignment: Alignment | None = None
    prices: FloatArray | None = None


@dataclass(frozen=True)
class Progress:
    """A report of a running solver: seconds since its start, its best objective and bound so far."""

    phase: str
    seconds: float
    objective: Number = -math.inf
    bound: Number = math.inf


ProgressHook = Callable[[Progress], None]

Wanted = Literal["any", "own"]
"""Which proofs count: any, or only those that are recomputed here."""


@dataclass(frozen=True)
class Answer:
    """A solver's answer, not yet checked: :func:`alignsolve.solve` recomputes all of it.

    Parameters
    ----------
    x
        The alignment: :class:`Alignment`, (indptr, experts) or a matrix of bools; None if none was found.
    prices
        (num_experts,) prices that should prove the alignment optimal: what clients pay for each expert. Where experts
        are in sets, (num_experts + num_sets,): the prices of the sets follow, and what clients pay includes them.
    bound
        The back end's own upper bound. Counts only for the general class, as ``Proof.SOLVER``.
    witness
        Why there is no alignment.
    tree
        A proof by cases (general class): of the alignment's optimality, or that there is none.
    infeasible
        The back end has proven by exhaustion that there is none. Counts only for the general class.
    stats
        Anything worth reporting: iterations, seconds of the back end. ``stats["confirmed_by"]`` lists the back ends
        that agree on ``bound`` or ``infeasible``.
    """

    x: Alignment | Any | None = None
    prices: FloatArray | None = None
    bound: Number = math.inf
    witness: Witness | None = None
    tree: ProofTree | None = None
    infeasible: bool = False
    stats: Mapping[str, Any] = field(default_factory=dict)


class Solver(Protocol):
    """A solver. A dataclass of its parameters with a ``capabilities`` attribute, or a plain function (takes all).

    It may have a method ``prepare(problem)``, called before the clock of a finite time limit starts: the place to
    compile what such a problem needs; this takes long only once after installation.
    """

    def __call__(
        self,
        problem: AlignmentProblem,
        *,
        deadline: float,
        warm_start: WarmStart,
        seed: int,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> Answer:
        """Return an answer.

        Parameters
        ----------
        problem
            Already validated; no single row contradicts itself; there is a client and an expert.
        deadline
            On the clock of :func:`time.monotonic`, in seconds; inf if there is none. ``late(deadline)`` of
            ``alignsolve.runtime.interruptible`` looks at it, and is also true after a Ctrl-C.
        warm_start
            What is known from an earlier problem; its shapes fit this one.
        seed
            Fixes every random choice.
        threads
            At most this many; None for as many as there are cores. The answer does not depend on it.
        progress
            Called now and then by solvers that report their progress, and by the front door once the answer is checked;
            mostly not in the main thread. None: nobody listens.
        """
        ...
