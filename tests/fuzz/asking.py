"""Asking one solver once: how, what came back, and what is wrong with it."""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alignsolve import ProblemClass, Solution, SolveError, solve
from alignsolve.presolve import components, pipeline
from tests.fuzz.checks import fault_of, takes, unproven
from tests.fuzz.fields import Drawn, literal, written
from tests.fuzz.truth import Truth
from tests.fuzz.watch import EVERY_ERROR, HangError, in_time


@dataclass(frozen=True)
class Asking:
    """How a solver is asked.

    Attributes
    ----------
    solver
        Its name.
    presolve
        "on", "off", or "small": problems of every size are presolved, and fall apart into parts of every size.
    seed, threads, warm
        As in :func:`alignsolve.solve`.
    """

    solver: str
    presolve: str = "on"
    seed: int = 0
    threads: int | None = 1
    warm: Any = None

    def otherwise(self) -> "Asking":
        """Ask with another presolve."""
        return replace(self, presolve="off" if self.presolve == "small" else "small")

    def plainer(self) -> Iterator["Asking"]:
        """Yield plainer ways to ask."""
        if self.warm is not None:
            yield Asking(self.solver, self.presolve, self.seed, self.threads)
        if self.seed or self.threads != 1:
            yield Asking(self.solver, self.presolve, 0, 1, self.warm)
        if self.presolve != "on":
            yield Asking(self.solver, "on", self.seed, self.threads, self.warm)

    def code(self) -> str:
        """The call."""
        more = "" if self.presolve != "off" else ", presolve=False"
        more += f", seed={self.seed}" if self.seed else ""
        more += f", warm_start={literal(self.warm)}" if self.warm is not None else ""
        return f'solve(problem, "{self.solver}"{more}, throw=False)'


class Answered:
    """A solution, and what is wrong with it; ``refused`` where the solver said in a documented way that it cannot."""

    def __init__(self, solution: Solution | None = None, fault: str | None = None, *, unproven: bool = False) -> None:
        self.solution, self.fault, self.unproven = solution, fault, unproven

    @property
    def refused(self) -> bool:
        """Whether there is no solution, and nothing is wrong with that."""
        return self.solution is None and self.fault is None


def ask(drawn: Drawn, problem: Any, truth: Truth, asking: Asking, *, prices: bool = True) -> Answered:
    """Ask, and compare with the truth."""
    warm = asking.warm
    if warm is not None and warm.shape not in (problem.shape, problem.shape[1:]):
        warm = None  # of a problem that was larger
    options = {"presolve": asking.presolve != "off", "seed": asking.seed, "threads": asking.threads}

    def call() -> Solution:
        with _presolving(small=asking.presolve == "small"), warnings.catch_warnings():
            warnings.simplefilter("ignore" if drawn.hostile else "error", RuntimeWarning)
            return solve(problem, asking.solver, warm_start=warm, throw=False, **options)

    try:
        solution = in_time(call)
    except SolveError:
        return Answered()
    except HangError:
        return Answered(fault="no answer within the time")
    except EVERY_ERROR as error:
        return Answered(fault=f"{type(error).__name__}: {error}")
    told = fault_of(truth, truth.strict, asking.solver, solution, prices=prices)
    left = None if told else unproven(truth, asking.solver, solution)
    if left and not drawn.hostile:
        told = left
    return Answered(solution, told, unproven=left is not None)


@contextlib.contextmanager
def _presolving(*, small: bool) -> Iterator[None]:
    """Presolve problems of every size, or only those that are large enough."""
    if not small:
        yield
        return
    before = pipeline.PRESOLVE_PAIRS, dict(components.PART_PAIRS)
    pipeline.PRESOLVE_PAIRS = 1
    components.PART_PAIRS.update(dict.fromkeys(ProblemClass, 1))
    try:
        yield
    finally:
        pipeline.PRESOLVE_PAIRS = before[0]
        components.PART_PAIRS.update(before[1])


def test_of(drawn: Drawn, truth: Truth, asking: Asking, told: str) -> str:
    """A test that fails as long as the answer is wrong."""
    best = truth.best
    lines = ["def test_found_by_fuzzing():", f'    """{told.splitlines()[0][:100]}"""', *written(drawn)]
    if asking.presolve == "small":
        lines += ["    # with the fixture small_problems_are_presolved"]
    lines += [f"    solution = {asking.code()}"]
    if best is None:
        lines += ["    assert solution.assigned is None  # no alignment exists"]
    else:
        value = f"Fraction({best.numerator}, {best.denominator})" if best.denominator > 1 else str(best)
        lines += [
            f"    best = {value}",
            '    assert solution.status != "INFEASIBLE"',
            "    assert solution.bound >= best",
        ]
        lines += [
            '    assert solution.status != "OPTIMAL" or abs(Fraction(solution.objective) - best) <= 1e-9 * abs(best)'
        ]
    return "\n".join(lines)


def draw_asking(rng: np.random.Generator, solver: str, shape: tuple[int, int]) -> Asking:
    """Draw how to ask: now and then with a warm start that is nonsense, or on two threads."""
    presolve = ("on", "on", "small", "off")[int(rng.integers(4))]
    warm = None
    if rng.random() < 0.12:
        warm = rng.normal(size=shape[1]) * 3.0 if rng.random() < 0.6 else rng.random(shape) < 0.5
    return Asking(solver, presolve, int(rng.integers(3)), None if rng.random() < 0.02 else 1, warm)


__all__ = ["Answered", "Asking", "ask", "draw_asking", "takes", "test_of"]
