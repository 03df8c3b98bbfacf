"""Families of instances that measure solvers or test their hard cases, and readers and writers of public file formats.

Benchmarks, tests and docs call it. It imports alignsolve and no other house.

``FAMILIES["popular"](rng, num_clients=1000, num_experts=32)`` makes an instance. To add a family, write a file with a
pure function ``(rng, *, num_clients, num_experts) -> AlignmentProblem``, and add a line here.
"""

from problems.additive import additive
from problems.budgets import memory_and_time_budgets, memory_budget
from problems.caches import caches
from problems.clustered import clustered
from problems.constant import constant, zeros
from problems.courses import courses
from problems.duplicated import duplicated
from problems.electives import electives
from problems.exact_fit import exact_bytes, exact_decimals
from problems.expert_sets import crossing, full_servers, greedy_servers, nested, projects, servers
from problems.family import Family, Reason, every_expert, every_set, first_set, no_expert
from problems.gap import gap_a, gap_b, gap_c, gap_d, gap_e
from problems.infeasible import (
    contradictory_row,
    crossed_bounds,
    few_eligible,
    narrow_layer,
    scarce_bytes,
    scarce_clients,
    scarce_experts,
    unaffordable_row,
)
from problems.integers import integers
from problems.layered import layered, layered_bytes, layered_mixed
from problems.layers import layers, layers_under_one_budget
from problems.levels import levels
from problems.mixed import mixed
from problems.one_to_one import rectangular, square
from problems.outlier import outlier
from problems.popular import popular
from problems.rank1 import rank1
from problems.required import required
from problems.soft import soft
from problems.sparse import sparse
from problems.tiers import tiers
from problems.ties import ties
from problems.tight import tight
from problems.uniform import uniform
from problems.weighted import weighted, weighted_bytes
from problems.wide import wide
from problems.windows import windows

FAMILIES = {
    "uniform": Family(uniform),
    "popular": Family(popular),
    "clustered": Family(clustered),
    "ties": Family(ties),
    "constant": Family(constant),
    "zeros": Family(zeros),
    "duplicated": Family(duplicated),
    "rank1": Family(rank1),
    "additive": Family(additive),
    "outlier": Family(outlier),
    "integers": Family(integers),
    "tight": Family(tight),
    "sparse": Family(sparse),
    "courses": Family(courses),
    "required": Family(required),
    "layers": Family(layers),
    "layers-budget": Family(layers_under_one_budget),
    "layered": Family(layered),
    "layered-bytes": Family(layered_bytes),
    "layered-mixed": Family(layered_mixed),
    "square": Family(square),
    "rectangular": Family(rectangular),
    "wide": Family(wide),
    "soft": Family(soft),
    "weighted": Family(weighted),
    "weighted-bytes": Family(weighted_bytes),
    "mixed": Family(mixed),
    "exact-decimals": Family(exact_decimals),
    "exact-bytes": Family(exact_bytes),
    "gap-a": Family(gap_a),
    "gap-b": Family(gap_b),
    "gap-c": Family(gap_c),
    "gap-d": Family(gap_d),
    "gap-e": Family(gap_e),
    "budget": Family(memory_budget),
    "budgets": Family(memory_and_time_budgets),
    "sets": Family(servers),
    "projects": Family(projects),
    "nested": Family(nested),
    "crossing": Family(crossing),
    "levels": Family(levels),
    "windows": Family(windows),
    "tiers": Family(tiers),
    "caches": Family(caches),
    "electives": Family(electives),
    "infeasible-row": Family(contradictory_row, Reason("row", no_expert)),
    "infeasible-budget": Family(unaffordable_row, Reason("row", no_expert)),
    "infeasible-demand": Family(scarce_clients, Reason("demand", lambda p: p.expert_demand > 0)),
    "infeasible-capacity": Family(scarce_experts, Reason("capacity", every_expert)),
    "infeasible-bytes": Family(scarce_bytes, Reason("capacity", every_expert)),
    "infeasible-crossed": Family(crossed_bounds, Reason("demand", lambda p: p.expert_demand > p.expert_capacity)),
    "infeasible-eligibility": Family(few_eligible, Reason("demand", lambda p: p.expert_demand > 0)),
    "infeasible-sets": Family(full_servers, Reason("capacity", every_expert, every_set)),
    "infeasible-set": Family(greedy_servers, Reason("demand", lambda p: p.expert_sets[0], first_set)),
    "infeasible-layer": Family(narrow_layer, Reason("capacity", lambda p: p.expert_group == 0)),
}
"""Every family by name."""

__all__ = ["FAMILIES", "Family", "Reason", "every_expert", "no_expert"]
