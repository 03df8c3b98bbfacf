"""Claims: an honest answer is changed, and ``verify`` must not accept what is false."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from alignsolve import Proof, Status, solve
from alignsolve.certificate.verify import Claim, Verification, verify
from alignsolve.data.alignment import Alignment
from tests.fuzz.checks import takes
from tests.fuzz.draw import draw
from tests.fuzz.fields import Drawn, written
from tests.fuzz.pick import pick
from tests.fuzz.problems import with_truth
from tests.fuzz.tally import Fault, Tally
from tests.fuzz.truth import Truth
from tests.fuzz.watch import EVERY_ERROR, HangError, in_time

EACH = 10
"""Changed claims of one answer."""
SOLVERS = ("flow", "sift", "price", "augment", "budgets", "greedy", "ilp")
CLOSE, CANCELLED = Fraction(2, 10**9), Fraction(2, 10**12)
NUMBERS = (math.nan, math.inf, -math.inf, 0, 1, -1, 1e300, -1e300, 1e-300, 10**299, -(10**299), 0.5)
Change = Callable[[np.random.Generator, Claim], Claim]


def example(rng: np.random.Generator, tally: Tally) -> Fault | None:
    """Draw an answer, and change it several times; return the first fault."""
    drawn = draw(rng)
    made = with_truth(drawn)
    if made is None:
        return None
    problem, truth = made
    solution = in_time(lambda: solve(problem, str(pick(rng, able(problem))), threads=1, throw=False))
    claim = Claim.of(solution)
    for number in range(EACH + 1):
        changed = claim if number == 0 else change(rng, claim)
        told = fault_of(truth, problem, changed, honest=number == 0, tally=tally)
        if told is not None:
            return Fault("", told, code(drawn, changed))
    return None


def able(problem: Any) -> list[str]:
    """Solvers that take a problem; the integer program, which is slow, where there is no other."""
    names = [name for name in SOLVERS if takes(name, problem.features)]
    return [name for name in names if name != "ilp"] or names


def fault_of(truth: Truth, problem: Any, claim: Claim, *, honest: bool, tally: Tally) -> str | None:
    """Verify a claim, and say what is wrong with that; an honest claim must hold."""
    tally.counts["claims"] += 1
    try:
        checked = in_time(lambda: verify(problem, claim))
    except HangError:
        return "verify does not end"
    except EVERY_ERROR as error:
        return f"verify: {type(error).__name__}: {error}"
    if honest and not checked.holds:
        return f"an honest claim is refused: {checked.differences}"
    false = lie(truth, claim)
    tally.counts["lies"] += false is not None
    return f"a lie is accepted: {false}" if false is not None and accepted(checked) else None


def accepted(checked: Verification) -> bool:
    """Whether a claim holds, and no part of it is left to a back end."""
    return checked.holds and not checked.unconfirmed


def lie(truth: Truth, claim: Claim) -> str | None:
    """Say what is false in a claim; None if all is true."""
    best = truth.best
    if math.isnan(claim.bound):
        return "the bound is not a number"
    if claim.status is Status.INFEASIBLE:
        return None if best is None else "INFEASIBLE"
    x = matrix(claim)
    fits = x is not None and x.shape == truth.drawn.shape
    fitness = truth.fitness_of(x) if fits else Fraction(0)  # the documented tolerance is a share of it
    size = CANCELLED * max(truth.scale, fitness)
    if best is not None and math.isfinite(claim.bound) and Fraction(claim.bound) < best - CLOSE * abs(best) - size:
        return f"the bound {claim.bound!r} is below {float(best)!r}"
    if best is not None and claim.bound == -math.inf:
        return "the bound is -inf"
    if claim.status is Status.UNKNOWN:
        return None
    judged = None if x is None else truth.judge(x)
    if judged is None or best is None:
        return "there is no such alignment"
    exactly, own = judged[0], max(judged[1], fitness)
    if claim.objective is None or not math.isfinite(claim.objective):
        return f"the objective is {claim.objective}"
    if abs(Fraction(claim.objective) - exactly) > CLOSE * abs(exactly) + CANCELLED * own:
        return f"the objective is {claim.objective!r}, not {float(exactly)!r}"
    if claim.status is Status.OPTIMAL and best - exactly > CLOSE * max(abs(best), abs(exactly)) + CANCELLED * own:
        return f"OPTIMAL at {float(exactly)!r}, the optimum is {float(best)!r}"
    return None


def matrix(claim: Claim) -> Any:
    """The claimed alignment as a matrix of bools, None if it is none."""
    if claim.assigned is None:
        return None
    indptr, experts = (np.asarray(part) for part in claim.assigned)
    n, e = claim.shape
    if indptr.shape != (n + 1,) or indptr[0] != 0 or indptr[-1] != len(experts) or (np.diff(indptr) < 0).any():
        return None
    if len(experts) and (experts.min() < 0 or experts.max() >= e):
        return None
    x = np.zeros((n, e), dtype=bool)
    clients = np.repeat(np.arange(n), np.diff(indptr))
    x[clients, experts] = True
    return x if x.sum() == len(experts) else None


def change(rng: np.random.Generator, claim: Claim) -> Claim:
    """Change one to three parts of a claim."""
    for _ in range(int(rng.integers(1, 4))):
        claim = CHANGES[int(rng.integers(len(CHANGES)))](rng, claim)
    return claim


def _number(rng: np.random.Generator, value: Any) -> Any:
    if value is None or rng.random() < 0.35:
        return NUMBERS[int(rng.integers(len(NUMBERS)))]
    if rng.random() < 0.5:
        return value + pick(rng, [1, -1, 0.5, 1e-6, -1e-6]).item()
    return value * pick(rng, [1.0 + 1e-6, 1.0 - 1e-6, 1.0 + 1e-8, 2.0, -1.0]).item()


def _other_alignment(rng: np.random.Generator, claim: Claim) -> Claim:
    n, e = claim.shape
    x = matrix(claim)
    if x is None or rng.random() < 0.3:
        x = rng.random((n, e)) < 0.5
    x[int(rng.integers(n)), int(rng.integers(e))] ^= True
    return replace(claim, assigned=Alignment.from_dense(x))


def _broken_alignment(rng: np.random.Generator, claim: Claim) -> Claim:
    if claim.assigned is None:
        return claim
    indptr, experts = (np.array(part) for part in claim.assigned)
    part = indptr if rng.random() < 0.5 or not len(experts) else experts
    part[int(rng.integers(len(part)))] += pick(rng, [1, -1, 2**40, -(2**40), 100])
    return replace(claim, assigned=Alignment(indptr, experts))


def _prices(rng: np.random.Generator, claim: Claim) -> Claim:
    prices = np.zeros(claim.shape[1]) if claim.prices is None else np.array(claim.prices)
    if rng.random() < 0.2:
        return replace(claim, prices=None)
    of_sets = claim.set_prices is not None and rng.random() < 0.5
    if of_sets:
        prices = np.array(claim.set_prices)
    prices[int(rng.integers(len(prices)))] = pick(rng, [np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0, 1.0, -7.0])
    return replace(claim, set_prices=prices) if of_sets else replace(claim, prices=prices)


def _witness(rng: np.random.Generator, claim: Claim) -> Claim:
    side = (None, "demand", "capacity", "row")[int(rng.integers(4))]
    members = np.flatnonzero(rng.random(claim.shape[1]) < 0.5)
    of_sets = None if claim.set_prices is None else rng.integers(-1, 2, len(claim.set_prices))
    return replace(claim, witness_side=side, witness_experts=members, witness_sets=of_sets)


CHANGES: list[Change] = [
    lambda rng, claim: replace(claim, objective=_number(rng, claim.objective)),
    lambda rng, claim: replace(claim, bound=_number(rng, claim.bound)),
    lambda rng, claim: replace(claim, status=tuple(Status)[int(rng.integers(len(Status)))]),
    lambda rng, claim: replace(claim, proof=tuple(Proof)[int(rng.integers(len(Proof)))]),
    lambda rng, claim: replace(claim, objective=None),
    lambda rng, claim: replace(claim, assigned=None),
    lambda rng, claim: replace(claim, status=Status.OPTIMAL, proof=Proof.PRICES, bound=claim.objective or 0.0),
    lambda rng, claim: replace(claim, status=Status.INFEASIBLE, proof=Proof.PRICES, bound=-math.inf),
    _other_alignment,
    _broken_alignment,
    _prices,
    _witness,
]


def code(drawn: Drawn, claim: Claim) -> str:
    """A test that fails as long as the claim is accepted, or refused in a wrong way."""
    return "\n".join(_lines(drawn, claim))


def _lines(drawn: Drawn, claim: Claim) -> Iterator[str]:
    yield from ("def test_found_by_fuzzing():", *written(drawn))
    told = {name: getattr(claim, name) for name in claim.__dataclass_fields__}
    parts = [f"{name}={value!r}" for name, value in told.items() if value is not None]
    yield f"    claim = Claim({', '.join(' '.join(part.split()) for part in parts)})"
    yield "    assert not verify(problem, claim).holds"
