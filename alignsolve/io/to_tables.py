"""Writes a problem as tables of pairs, clients, experts and sets: what :func:`alignsolve.problem_from_tables` reads."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from alignsolve.data.names import called
from alignsolve.data.stored import StoredPairs
from alignsolve.io.record_file import check_output, write_text
from alignsolve.io.set_tables import set_columns
from alignsolve.problem import AlignmentProblem
from alignsolve.show.pairs import csv_text

Columns = dict[str, Any]


def tables_of(problem: AlignmentProblem) -> tuple[Columns, ...]:
    """Return the columns of the pairs, of the clients and of the experts; and those of sets, if there are any.

    Clients, experts and sets without names have their numbers. Groups and resources have numbers as well.

    Raises
    ------
    ValueError
        If a required pair is not eligible, or a group without experts has a demand: tables cannot say this.
    """
    _refuse_the_unsayable(problem)
    clients = problem.client_names or tuple(range(problem.num_clients))
    experts = problem.expert_names or tuple(range(problem.num_experts))
    in_sets, sets = set_columns(problem)
    of_experts = _experts(problem, experts) | in_sets
    return _pairs(problem, clients, experts), _clients(problem, clients), of_experts, *([sets] if sets else [])


def _refuse_the_unsayable(problem: AlignmentProblem) -> None:
    required = problem.required
    if problem.eligible is not None and required is not None and (required & ~problem.eligible).any():
        i, j = np.argwhere(required & ~problem.eligible)[0]
        client, expert = called(problem.client_names, "client", i), called(problem.expert_names, "expert", j)
        raise ValueError(f"{client} requires {expert}, for which it is not eligible: a table of eligible pairs cannot "
                         "say that")  # fmt: skip
    for g in sorted(set(range(problem.num_groups)) - set(_groups(problem))):
        if problem.group_demand[:, g].any():
            raise ValueError(f"group {g} has a demand, but no experts: a table of experts cannot say that")


def _groups(problem: AlignmentProblem) -> list[int]:
    """The groups that have experts, in the order of these."""
    return [] if problem.expert_group is None else list(dict.fromkeys(problem.expert_group.tolist()))


def _pairs(problem: AlignmentProblem, clients: Any, experts: Any) -> Columns:
    rows: Any
    columns: Any
    if problem.stored is not None:
        rows, columns = problem.stored.clients(), problem.stored.experts
    elif problem.eligible is not None:
        rows, columns = np.nonzero(problem.eligible)
    else:
        rows, columns = np.divmod(np.arange(problem.num_clients * problem.num_experts), max(1, problem.num_experts))
    found: Columns = {"client": [clients[i] for i in rows.tolist()], "expert": [experts[j] for j in columns.tolist()]}

    def of_pairs(field: Any) -> Any:
        return field.values if isinstance(field, StoredPairs) else field[rows, columns]

    found["fitness"] = of_pairs(problem.fitness[: problem.num_clients] if problem.stored is None else problem.fitness)
    for mark in ("required", "previous"):
        if getattr(problem, mark) is not None:
            found[mark] = of_pairs(getattr(problem, mark)).astype(np.int64)
    if problem.has_switching_costs:
        found["switching_cost"] = of_pairs(problem.switching_cost)
    if problem.client_load is not None:
        found["load"] = of_pairs(problem.client_load)
    if problem.expert_cost is not None:
        for r in range(problem.expert_cost.shape[2]):
            found[f"cost_{r}"] = problem.expert_cost[rows, columns, r]
    return found


def _clients(problem: AlignmentProblem, clients: Any) -> Columns:
    found: Columns = {"client": clients, "capacity": problem.client_capacity, "demand": problem.client_demand}
    for bound in ("group_capacity", "group_demand"):
        for g in _groups(problem):
            found[f"{bound}_{g}"] = getattr(problem, bound)[:, g]
    if problem.client_budget is not None:
        found |= {f"budget_{r}": column for r, column in enumerate(problem.client_budget.T)}
    return found


def _experts(problem: AlignmentProblem, experts: Any) -> Columns:
    found: Columns = {"expert": experts, "capacity": problem.expert_capacity, "demand": problem.expert_demand}
    for penalty in ("overload_penalty", "shortfall_penalty"):
        if np.isfinite(getattr(problem, penalty)).any():
            found[penalty] = getattr(problem, penalty)
    if problem.optional_demand is not None:
        found["optional_demand"] = problem.optional_demand
    if problem.expert_group is not None:
        found["group"] = problem.expert_group
    return found


def beside(path: str | os.PathLike[str], problem: AlignmentProblem | None = None) -> tuple[Path, ...]:
    """Return the paths of the tables: ``a.csv``, ``a.clients.csv``, ``a.experts.csv``; with sets ``a.sets.csv``."""
    pairs = Path(path)
    sides = ("clients", "experts") if problem is None or problem.sets is None else ("clients", "experts", "sets")
    return pairs, *(pairs.with_suffix(f".{side}.csv") for side in sides)


def save_tables(problem: AlignmentProblem, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a problem as CSV files: the pairs to ``path``, the clients, the experts and their sets beside it.

    Raises
    ------
    FileError
        If a file exists (unless ``overwrite``) or cannot be written.
    """
    targets = beside(path, problem)
    for target in targets:
        check_output(target, overwrite=overwrite, suffixes=(".csv",))
    for columns, target in zip(tables_of(problem), targets, strict=True):
        write_text(target, csv_text(columns), overwrite=overwrite)
