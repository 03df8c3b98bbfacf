"""Problems: random small ones with known truth, each asked to several solvers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from alignsolve import Feature, ProblemClass
from tests.fuzz.asking import Asking, ask, draw_asking, takes, test_of
from tests.fuzz.checks import fault_of_bound
from tests.fuzz.draw import draw
from tests.fuzz.fields import Drawn, literal, written
from tests.fuzz.pick import pick
from tests.fuzz.shrink import same_kind, shrunk
from tests.fuzz.tally import Fault, Tally
from tests.fuzz.truth import TooLargeError, Truth, UnclearError

ALWAYS, OFTEN = 1.0, 0.3
CHANCES = {
    "flow": ALWAYS, "price": ALWAYS, "sift": ALWAYS, "augment": ALWAYS, "auto": OFTEN, "branch": OFTEN,
    "budgets": 0.1, "lagrangian": 0.1, "networkx": 0.08, "greedy": 0.06, "regret": 0.06, "topk": 0.03, "random": 0.03,
    "expert-choice": 0.03, "rolling": 0.03, "ilp": 0.03, "cpsat": 0.02, "ilp-cbc": 0.015,
}  # fmt: skip
"""How often each solver is asked; slow ones seldom."""
GENERAL = {"branch": 0.8, "budgets": 0.3, "lagrangian": 0.3, "auto": 0.5, "greedy": 0.2, "regret": 0.2}
"""How often in the general class, where fewer take the problem."""
CROSSING = {"auto": 0.6, "ilp": 0.4, "cpsat": 0.15, "ilp-cbc": 0.1}
"""How often where sets cross, which still fewer take."""
FAST = {"flow", "price", "sift", "augment"}
"""Solvers that are asked twice in ways of their own: the truth takes longer than their answers."""
TWICE = FAST | {"networkx"}
"""Solvers that are asked once more, each time, with another presolve: the value must be the same."""
PRICES = 0.3
"""Share of answers whose prices are computed anew."""


def example(rng: np.random.Generator, tally: Tally, solvers: Sequence[str]) -> Fault | None:
    """Draw one problem, and ask; return the first fault.

    Parameters
    ----------
    rng
        Fixes everything.
    tally
        Where answers are counted.
    solvers
        Names of those that are asked each time; empty: all, as often as :data:`CHANCES` says.
    """
    drawn = draw(rng)
    made = with_truth(drawn)
    while made is None and drawn.shape[0] > 1:  # too many sums: one client less
        drawn = drawn.without("i", drawn.shape[0] - 1)
        made = with_truth(drawn)
    if made is None:
        tally.counts["not asked"] += 1
        return None
    problem, truth = made
    tally.note_problem(problem.features)
    tally.counts["infeasible problems"] += truth.best is None
    first = _bound_of_any_prices(rng, drawn, problem, truth, tally)
    for asking in _askings(rng, problem, solvers):
        found = ask(drawn, problem, truth, asking, prices=rng.random() < PRICES)
        _count(tally, asking, found, problem)
        if found.fault is not None and first is None:
            first = _smallest(drawn, asking, found.fault)
    return first


def _bound_of_any_prices(
    rng: np.random.Generator, drawn: Drawn, problem: Any, truth: Truth, tally: Tally
) -> Fault | None:
    """Prices need not be good to bound."""
    prices = pick(rng, [0.0, 1.0, -1.0, 0.25, -2.5, 7.0, 1e3, -1e3, 0.1], problem.num_experts + problem.num_sets)
    if drawn.hostile:
        prices = prices * pick(rng, [1.0, 1e-300, 1e100, 1e9])
    tally.counts["bounds"] += 1

    def told(other: Drawn) -> str | None:
        try:
            made = with_truth(other)
        except ValueError:
            return None
        if made is None or other.shape[1] + other.num_sets != len(prices):
            return None
        return fault_of_bound(made[1].strict, made[0], prices)

    if fault_of_bound(truth.strict, problem, prices) is None:
        return None
    small = shrunk(drawn, lambda other: told(other) is not None)
    lines = ["def test_found_by_fuzzing():", *written(small)]
    lines += [f"    assert problem.bound({literal(prices)}) >= {float(Truth(small).strict.best or 0)!r}"]
    return Fault("", str(told(small)), "\n".join(lines))


def with_truth(drawn: Drawn) -> tuple[Any, Truth] | None:
    """Build a problem and its truth; None if it is unclear or too large."""
    truth = Truth(drawn)
    try:
        _ = truth.best
        _ = truth.strict.best
    except (TooLargeError, UnclearError):
        return None
    return drawn.problem(), truth


def _askings(rng: np.random.Generator, problem: Any, solvers: Sequence[str]) -> list[Asking]:
    chances = {**CHANCES, **(GENERAL if problem.class_ is ProblemClass.GENERAL else {})}
    if Feature.CROSSING_SETS in problem.features:
        chances |= CROSSING
    if problem.client_budget is None and Feature.BUDGETS not in problem.features:
        chances["budgets"] *= 0.5
    if solvers:
        chances = dict.fromkeys(solvers, ALWAYS)
    named = [name for name, chance in chances.items() if takes(name, problem.features) and rng.random() < chance]
    named += [name for name in named if name in FAST]
    askings = [draw_asking(rng, name, problem.shape) for name in named]
    return [*askings, *(asking.otherwise() for asking in askings if asking.solver in TWICE)]


def _count(tally: Tally, asking: Asking, found: Any, problem: Any) -> None:
    tally.counts["refused"] += found.refused
    tally.counts["unproven"] += found.unproven
    tally.answers[asking.solver] += 1
    tally.counts["general"] += problem.class_ is ProblemClass.GENERAL
    if found.solution is not None:
        tally.counts[f"{asking.solver}: {found.solution.status}"] += 1


def _smallest(drawn: Drawn, asking: Asking, told: str) -> Fault:
    """Make a failing problem smaller, and the way to ask plainer."""

    def answer(other: Drawn, how: Asking) -> str | None:
        try:
            made = with_truth(other)
        except ValueError:
            return None
        return None if made is None else ask(other, *made, how).fault

    if answer(drawn, asking) is None:
        return Fault("", f"{asking.code()}: only once: {told}", test_of(drawn, Truth(drawn), asking, told))
    for plainer in asking.plainer():
        if same_kind(told, answer(drawn, plainer)):
            asking = plainer
    small = shrunk(drawn, lambda other: same_kind(told, answer(other, asking)))
    told = answer(small, asking) or told
    return Fault("", f"{asking.code()}: {told}", test_of(small, Truth(small), asking, told))
