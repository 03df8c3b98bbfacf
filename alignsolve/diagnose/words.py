"""The text of a diagnosis: which bounds bind, what one more unit of each gains, and what a repair changes."""

from collections.abc import Iterator

import numpy as np

from alignsolve.data.names import Names, called, named
from alignsolve.diagnose.change import Repair
from alignsolve.diagnose.worth import Worth
from alignsolve.numerics import FloatArray
from alignsolve.problem import AlignmentProblem
from alignsolve.solution import Proof

SHOWN = 8
"""Most changes, and most experts of one kind of bound, in the text."""
SHOWN_CLIENTS = 3
"""Most clients of one kind of bound in the text."""
PROVEN_BY = {
    Proof.PRICES: "no repair costs less, proven by prices",
    Proof.TREE: "no repair costs less, proven by a tree of cases",
    Proof.SOLVER: "no repair costs less, says the solver",
}
SUBJECTS = {
    "expert_capacity": "one more of the capacity of {0}",
    "expert_demand": "one less of the demand of {0}",
    "set_capacity": "one more of the capacity of {0}",
    "set_demand": "one less of the demand of {0}",
    "client_capacity": "one more of the capacity of {0}",
    "client_demand": "one less of the demand of {0}",
    "group_capacity": "one more of the capacity of {0} in group {1}",
    "group_demand": "one less of the demand of {0} in group {1}",
    "client_budget": "no limit on resource {1} of {0}",
}


def repair_lines(repair: Repair) -> Iterator[str]:
    """Yield the cost of a repair with its proof, then its changes, the most expensive first."""
    known = PROVEN_BY.get(repair.proof, f"every repair costs at least {repair.bound:.6g}; a cheaper one may exist")
    yield f"cheapest repair, a total of {repair.total:.12g} ({known}):"
    ranked = sorted(repair.changes, key=lambda change: -change.cost)
    yield from (f"  {change}" for change in ranked[:SHOWN])
    if len(ranked) > SHOWN:
        yield f"  … and {len(ranked) - SHOWN} more changes"


def worth_lines(problem: AlignmentProblem, worth: Worth) -> Iterator[str]:
    """Yield the bounds that bind, then the most that one more unit of each can gain, the largest gain first."""
    binding = [text for text in _binding(problem, worth) if text]
    yield "; ".join(binding) if binding else "nothing binds: no expert and no client is at a bound"
    if worth.clients_judged < problem.num_clients:
        yield f"the time limit came first: {worth.clients_judged} of {problem.num_clients} clients were judged"
    if worth.gap > 0.0:
        yield f"the prices leave a gap of {worth.gap:.6g}; every figure below includes it"
    for field in SUBJECTS:
        yield from _gains(problem, field, getattr(worth, field), getattr(worth, f"exact_{field}", None), worth.gap)


def _binding(problem: AlignmentProblem, worth: Worth) -> Iterator[str]:
    yield _listed("experts at capacity", worth.expert_capacity, "expert", problem.expert_names)
    yield _listed("experts at demand", worth.expert_demand, "expert", problem.expert_names)
    yield _listed("sets at capacity", worth.set_capacity, "set", problem.set_names)
    yield _listed("sets at demand", worth.set_demand, "set", problem.set_names)
    yield _listed("clients at capacity", worth.client_capacity, "client", problem.client_names)
    yield _listed("clients at demand", worth.client_demand, "client", problem.client_names)
    yield _listed("clients at a group's capacity", _any(worth.group_capacity), "client", problem.client_names)
    yield _listed("clients at a group's demand", _any(worth.group_demand), "client", problem.client_names)
    for r in range(worth.client_budget.shape[1]):
        resource = f" of resource {r}" if worth.client_budget.shape[1] > 1 else ""
        yield _listed(f"clients at their budget{resource}", worth.client_budget[:, r], "client", problem.client_names)


def _any(values: FloatArray) -> FloatArray:
    return np.where(np.isnan(values).all(axis=1), np.nan, 0.0)


def _listed(what: str, values: FloatArray, member: str, names: Names | None) -> str:
    binds = ~np.isnan(values)
    return f"{what}: {named(binds, member, names)}" if binds.any() else ""


def _gains(
    problem: AlignmentProblem, field: str, most: FloatArray, exact: FloatArray | None, gap: float
) -> Iterator[str]:
    """Yield one sentence for each bound whose next unit may gain more than the gap."""
    flat = np.where(np.isnan(most), -np.inf, most).ravel()
    shown = SHOWN if field.startswith(("expert", "set")) else SHOWN_CLIENTS
    ranked = [k for k in np.argsort(-flat, kind="stable")[:shown] if flat[k] > gap]
    for k in ranked:
        place = np.unravel_index(k, most.shape)
        whose = field.split("_", maxsplit=1)[0] if field.startswith(("expert", "set")) else "client"
        names = {"expert": problem.expert_names, "set": problem.set_names, "client": problem.client_names}[whose]
        first = called(names, whose, int(place[0]))
        subject = SUBJECTS[field].format(first, *(int(part) for part in place[1:]))
        sentence = f"{subject} gains at most {flat[k]:.6g}"
        if exact is not None and not np.isnan(exact[place]):
            sentence = f"{subject} gains {exact[place]:.6g} (prices say at most {flat[k]:.6g})"
        yield sentence
    more = int((flat > gap).sum()) - len(ranked)
    if more > 0:
        yield f"… and {more} more bounds of this kind gain at most {flat[ranked[-1]]:.6g} each"
