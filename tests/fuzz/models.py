"""Models: clients with budgets and dozens to hundreds of experts, as ``budgets`` is made for.

An alignment is drawn first, and the bounds around it, so that one is known. An integer program of SciPy gives a better
one and a bound in two seconds; neither needs to be the best. No answer may contradict them.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, eye_array, hstack, kron

from alignsolve import Status, solve
from tests.fuzz.fields import Drawn, written
from tests.fuzz.pick import pick
from tests.fuzz.shrink import same_kind, shrunk
from tests.fuzz.tally import Fault, Tally
from tests.fuzz.watch import EVERY_ERROR, HangError, in_time

SECONDS = 2.0
"""Time of the integer program."""
CLOSE = 1e-7
"""Relative difference by which an integer program may be wrong: its own tolerances."""


class Known(NamedTuple):
    """What is known of a model: the objective of an alignment, and a bound."""

    reached: float
    bound: float


def example(rng: np.random.Generator, tally: Tally) -> Fault | None:
    """Draw a model, and ask; return the first fault."""
    drawn, planted = draw(rng)
    known = program(drawn, planted)
    solver = str(pick(rng, ["budgets", "budgets", "budgets", "auto", "lagrangian"]))
    tally.counts[f"models: {solver}"] += 1

    def told(other: Drawn, best: Known) -> str | None:
        found, status = ask(other, solver, best)
        tally.counts["models without an alignment"] += status is Status.UNKNOWN
        return found

    found = told(drawn, known)
    if found is None:
        return None
    small = shrunk(drawn, lambda other: same_kind(found, told(other, program(other, None))), seconds=120.0)
    code = "\n".join(["def test_found_by_fuzzing():", *written(small),
                      f'    solution = solve(problem, "{solver}", throw=False)',
                      f"    # an integer program: {program(small, None)}"])  # fmt: skip
    return Fault("", f"{solver}: {found}", code)


def draw(rng: np.random.Generator) -> tuple[Drawn, Any]:
    """Draw a model, and an alignment that it admits."""
    n, e = int(rng.integers(2, 13)), int(pick(rng, [41, 48, 60, 64, 100, 257, 300]))
    num_groups, resources = int(pick(rng, [1, 2, 4, 8, 16])), int(rng.integers(1, 3))
    group = np.sort(np.arange(e) % num_groups)
    by_size = rng.random() < 0.4
    size = rng.integers(1, 9, (num_groups, resources))[group] if by_size else rng.integers(0, 9, (e, resources))
    cost = size * pick(rng, [1.0, 1e6, 0.01])
    own_costs = rng.random() < 0.25
    if own_costs:
        cost = cost * rng.integers(1, 4, (n, 1, 1))
    fitness = rng.normal(size=(n, e)) if rng.random() < 0.5 else rng.integers(-3, 10, (n, e)).astype(np.float64)
    if rng.random() < 0.3:
        fitness -= 12.0  # only demands make a client take an expert
    share = pick(rng, [0.05, 0.2, 0.5])
    planted = rng.random((n, e)) < share
    for g in range(num_groups):  # at least one of each group
        planted[np.arange(n), rng.choice(np.flatnonzero(group == g), n)] = True
    load, inside = planted.sum(axis=0), np.add.reduceat(planted, np.searchsorted(group, np.arange(num_groups)), axis=1)
    spent = np.einsum("ij,ijr->ir", planted, np.broadcast_to(cost, (n, e, resources)))
    fields: dict[str, tuple[Any, str]] = {
        "fitness": (fitness, "ij"),
        "client_capacity": (planted.sum(axis=1) + rng.integers(0, e, n), "i"),
        "client_budget": (spent * (1.0 + pick(rng, [0.0, 0.1, 0.5])), "ir"),
        "expert_cost": (cost, "ijr" if own_costs else "jr"),
    }
    if rng.random() < 0.6:
        fields["expert_group"] = (group, "j")
        fields["group_demand"] = (int(pick(rng, [0, 1, 1])), "")
        if rng.random() < 0.5:
            fields["group_capacity"] = (inside + rng.integers(0, 3, inside.shape), "ig")
    if rng.random() < 0.3:
        fields["client_demand"] = (planted.sum(axis=1) - rng.integers(0, 3, n).clip(max=planted.sum(axis=1)), "i")
    if rng.random() < 0.7:
        fields["expert_capacity"] = ((load + rng.integers(0, 3, e)).astype(np.float64), "j")
    if rng.random() < 0.4:
        fields["expert_demand"] = (np.maximum(load - rng.integers(0, 3, e), 0).astype(np.float64), "j")
    for name in ("overload_penalty", "shortfall_penalty"):
        if rng.random() < 0.3:
            fields[name] = (pick(rng, [0.5, 1.0, 3.0, np.inf], e), "j")
    if rng.random() < 0.3:
        fields["eligible"] = (planted | (rng.random((n, e)) < 0.7), "ij")
    if rng.random() < 0.15:
        fields["required"] = (planted & (rng.random((n, e)) < 0.05), "ij")
    if rng.random() < 0.2:
        fields["switching_cost"] = (0.5, "")
        fields["previous"] = (rng.random((n, e)) < 0.1, "ij")
    return Drawn(fields), planted


def ask(drawn: Drawn, solver: str, known: Known) -> tuple[str | None, Status | None]:
    """Return what is wrong with a solver's answer, and its status."""
    try:
        problem = drawn.problem()
        limit = None if solver == "budgets" else 2.0
        solution = in_time(lambda: solve(problem, solver, time_limit=limit, throw=False), 60.0)
    except HangError:
        return "no answer within a minute", None
    except EVERY_ERROR as error:
        return f"{type(error).__name__}: {error}", None
    slack = (
        CLOSE * max(abs(known.reached), float(np.abs(drawn.value("fitness")).max())) if known.reached > -math.inf else 0
    )
    if solution.status is Status.INFEASIBLE:
        return ("INFEASIBLE, but there is an alignment" if known.reached > -math.inf else None), solution.status
    if solution.bound < known.reached - slack:
        return f"the bound {solution.bound!r} is below an alignment worth {known.reached!r}", solution.status
    if solution.assigned is None:
        return None, solution.status
    worth = value_of(drawn, solution.x)
    if worth is None:
        return "the alignment breaks a bound", solution.status
    if abs(worth - solution.objective) > 1e-9 * max(abs(worth), 1.0):
        return f"the objective is {solution.objective!r}, the alignment is worth {worth!r}", solution.status
    if worth > known.bound + max(slack, CLOSE * abs(known.bound)):
        return f"the objective {worth!r} is above a bound of {known.bound!r}", solution.status
    return None, solution.status


def value_of(drawn: Drawn, x: Any) -> float | None:
    """The objective of an alignment, None where it breaks a bound; read from the arguments alone."""
    (n, e), get = drawn.shape, lambda name, default: drawn.full(name) if name in drawn.fields else default
    x = np.asarray(x)
    count, load = x.sum(axis=1), x.sum(axis=0)
    spent = np.where(x[:, :, None], get("expert_cost", np.zeros((n, e, 1))), 0.0).sum(axis=1)
    budget = get("client_budget", np.full((n, spent.shape[1]), np.inf))
    kept = [
        (count <= get("client_capacity", np.ones(n))).all() and (count >= get("client_demand", np.zeros(n))).all(),
        not (x & ~get("eligible", np.ones((n, e), dtype=bool))).any(),
        not (get("required", np.zeros((n, e), dtype=bool)) & ~x).any(),
        (spent <= budget * (1.0 + 2e-9)).all(),
    ]
    for g in range(drawn.num_groups):
        inside = x[:, drawn.value("expert_group") == g].sum(axis=1)
        kept += [(inside >= get("group_demand", np.zeros((n, g + 1)))[:, g]).all(),
                 (inside <= get("group_capacity", np.full((n, g + 1), e))[:, g]).all()]  # fmt: skip
    over = np.maximum(load - get("expert_capacity", np.full(e, np.inf)), 0.0)
    short = np.maximum(get("expert_demand", np.zeros(e)) - load, 0.0)
    costs = get("overload_penalty", np.full(e, np.inf)), get("shortfall_penalty", np.full(e, np.inf))
    kept += [not over[np.isinf(costs[0])].any(), not short[np.isinf(costs[1])].any()]
    if not all(kept):
        return None
    value = drawn.value("fitness") - np.where(get("previous", np.zeros((n, e), dtype=bool)), 0.0,
                                              get("switching_cost", np.zeros((n, e))))  # fmt: skip
    penalty = [np.where(np.isinf(cost), 0.0, cost) * amount for cost, amount in zip(costs, (over, short), strict=True)]
    return math.fsum([*value[x], *-penalty[0], *-penalty[1]])


def program(drawn: Drawn, planted: Any) -> Known:
    """Ask an integer program; what it returns counts only if it is a feasible alignment."""
    (n, e), get = drawn.shape, lambda name, default: drawn.full(name) if name in drawn.fields else default
    cost = get("expert_cost", np.zeros((n, e, 1)))
    clients = np.repeat(np.arange(n), e)
    by_client, by_expert = kron(eye_array(n), np.ones((1, e))), kron(np.ones((1, n)), eye_array(e))
    blocks = [(by_client, get("client_demand", np.zeros(n)), get("client_capacity", np.ones(n)))]
    for r in range(cost.shape[2]):
        spent = coo_array((cost[:, :, r].ravel(), (clients, np.arange(n * e))), shape=(n, n * e))
        unit = max(float(cost[:, :, r].max()), 1e-300)
        blocks.append(
            (spent / unit, np.full(n, -np.inf), get("client_budget", np.full((n, r + 1), np.inf))[:, r] / unit)
        )
    if "expert_group" in drawn.fields:
        group = drawn.value("expert_group")
        for g in range(drawn.num_groups):
            inside = kron(eye_array(n), (group == g).astype(float)[None])
            blocks.append((inside, get("group_demand", np.zeros((n, g + 1)))[:, g],
                           get("group_capacity", np.full((n, g + 1), e))[:, g]))  # fmt: skip
    penalties = get("overload_penalty", np.full(e, np.inf)), get("shortfall_penalty", np.full(e, np.inf))
    free = np.concatenate([np.where(np.isinf(each), 0.0, np.inf) for each in penalties])
    rates = np.concatenate([np.where(np.isinf(each), 0.0, each) for each in penalties])
    constraints = [LinearConstraint(hstack([rows, coo_array((rows.shape[0], 2 * e))]).tocsr(), low, high)
                   for rows, low, high in blocks]  # fmt: skip
    none, one = coo_array((e, e)), eye_array(e)
    capacity, demand = get("expert_capacity", np.full(e, np.inf)), get("expert_demand", np.zeros(e))
    constraints += [LinearConstraint(hstack([by_expert, -one, none]).tocsr(), -np.inf, capacity),
                    LinearConstraint(hstack([by_expert, none, one]).tocsr(), demand, np.inf)]  # fmt: skip
    value = drawn.value("fitness") - np.where(get("previous", np.zeros((n, e), dtype=bool)), 0.0,
                                              get("switching_cost", np.zeros((n, e))))  # fmt: skip
    low, high = get("required", np.zeros((n, e))).astype(float), get("eligible", np.ones((n, e))).astype(float)
    found = milp(
        np.concatenate([-value.ravel(), rates]),
        integrality=np.concatenate([np.ones(n * e), np.zeros(2 * e)]),
        bounds=Bounds(np.concatenate([low.ravel(), np.zeros(2 * e)]), np.concatenate([high.ravel(), free])),
        constraints=constraints,
        options={"time_limit": SECONDS, "mip_rel_gap": 1e-9},
    )
    reached = [value_of(drawn, x) for x in ([] if planted is None else [planted])]
    if found.x is not None:
        reached.append(value_of(drawn, found.x[: n * e].reshape(n, e) > 0.5))
    dual = getattr(found, "mip_dual_bound", None)
    bound = math.inf if dual is None else -dual
    return Known(max((each for each in reached if each is not None), default=-math.inf), bound)
