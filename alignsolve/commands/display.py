"""Output of the command line: tables for people (rich), plain dictionaries for programs (JSON)."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from alignsolve.certificate.verify import Claim, Verification
from alignsolve.commands.bench import Run
from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.data.names import Names, label
from alignsolve.diagnose import Diagnosis
from alignsolve.numerics import FEASIBILITY, FloatArray, Number
from alignsolve.problem import Feature
from alignsolve.solution import Proof, Solution, Status
from alignsolve.solver import Capabilities

SHOWN = 40
"""Most experts in a table."""
SHOWN_CLIENTS = 12
"""Most clients with their experts in a table."""
COLOURS = {Status.OPTIMAL: "green", Status.FEASIBLE: "yellow", Status.INFEASIBLE: "red", Status.UNKNOWN: "red"}


def console() -> Console:
    """Return a console on stdout without markup: file names may contain brackets."""
    return Console(markup=False, highlight=False, emoji=False)


def show_solution(out: Console, solution: Solution, written: str = "-o FILE.csv") -> None:
    """Print the solution's facts, then the loads of the experts or the reason why there is no alignment.

    Parameters
    ----------
    out
        Where to print.
    solution
        The solution.
    written
        What has the whole alignment, where only its first clients are printed.
    """
    facts = _table("", "solution")
    facts.show_header = False
    facts.add_row("problem", repr(solution.problem))
    facts.add_row("solver", str(solution.stats.get("solver", "")))
    facts.add_row("status", str(solution.status), style=f"bold {COLOURS[solution.status]}")
    facts.add_row("proof", str(solution.proof))
    facts.add_row("objective", number(solution.objective))
    facts.add_row("bound", number(solution.bound))
    facts.add_row("gap", f"{solution.gap:.3g}")
    facts.add_row("runtime", f"{solution.runtime:.3g} s")
    out.print(facts)
    if solution.loads is None:
        out.print(solution.explain(), soft_wrap=True)
    else:
        out.print(_expert_table(solution))
        if solution.problem.sets is not None:
            out.print(_set_table(solution))
        if solution.problem.client_names is not None:
            out.print(_client_table(solution))
            more = solution.problem.num_clients - SHOWN_CLIENTS
            if more > 0:
                out.print(f"… and {more} more clients ({written} has all)", soft_wrap=True)


def _client_table(solution: Solution) -> Table:
    """Return a table of the first clients and their experts, by name."""
    problem, rows = solution.problem, _rows(solution)
    table = _table("client", "experts")
    table.title = "alignment"
    for i, experts in enumerate(rows[:SHOWN_CLIENTS]):
        names = [label(problem.expert_names, j) for j in experts.tolist()]
        table.add_row(label(problem.client_names, i), ", ".join(names) or "—")
    return table


def _table(*columns: str) -> Table:
    table = Table(*columns)
    for column in table.columns:
        column.overflow = "fold"
    return table


def _expert_table(solution: Solution) -> Table:
    """Return a table of the load, bounds and price of each expert; experts at a bound are marked."""
    problem, loads = solution.problem, solution.loads
    assert loads is not None
    return _load_table("expert", problem.expert_names, problem.experts, loads, solution.prices)


def _set_table(solution: Solution) -> Table:
    """Return a table of the load, bounds and price of each set of experts."""
    problem, loads = solution.problem, solution.set_loads
    assert problem.sets is not None
    assert loads is not None
    return _load_table("set", problem.set_names, problem.sets.bounds, loads, solution.set_prices)


def _load_table(
    what: str, names: Names | None, bounds: ExpertBounds, loads: FloatArray, prices: FloatArray | None
) -> Table:
    table = Table(what, "demand", "load", "capacity", "price", "", title=f"{what}s")
    for column in table.columns[:5]:
        column.justify = "right"
        column.overflow = "fold"
    for j in range(min(len(loads), SHOWN)):
        demand, capacity = float(bounds.demand[j]), float(bounds.capacity[j])
        price = "" if prices is None else f"{prices[j]:.6g}"
        position = _position(loads[j], demand, capacity)
        table.add_row(label(names, j), f"{demand:.12g}", f"{loads[j]:.12g}", f"{capacity:.12g}", price, position)
    if len(loads) > SHOWN:
        table.caption = f"… and {len(loads) - SHOWN} more {what}s (--json lists all)"
    return table


def _position(load: float, demand: float, capacity: float) -> str:
    tolerance = FEASIBILITY * load
    if load > capacity + tolerance:
        return "overloaded"
    if load < demand - tolerance:
        return "short"
    if load >= capacity - tolerance:
        return "full"
    return "at demand" if demand > 0 and load <= demand + tolerance else ""


def number(value: Number | None) -> str:
    """Format a number with all its digits; a dash for None."""
    return "—" if value is None else repr(value)


def show_verification(out: Console, claim: Claim, checked: Verification) -> None:
    """Print the claims beside the recomputed values, then the differences."""
    found = checked.solution
    table = _table("", "claimed", "re-checked")
    table.add_row("status", str(claim.status), str(found.status), style="bold")
    table.add_row("proof", str(claim.proof), str(found.proof))
    table.add_row("objective", number(claim.objective), number(found.objective))
    table.add_row("bound", number(claim.bound), number(found.bound))
    out.print(table)
    if found.loads is not None:
        out.print(_expert_table(found))
    elif found.witness is not None:
        out.print(found.explain(), soft_wrap=True)
    for text in checked.unconfirmed:
        out.print(f"unconfirmed: {text}", style="yellow", soft_wrap=True)
    for text in checked.differences:
        out.print(f"DIFFERS: {text}", style="bold red", soft_wrap=True)
    if checked.holds:
        out.print("nothing in the file is refuted" if checked.unconfirmed else "everything holds", style="green")


def show_diagnosis(out: Console, diagnosis: Diagnosis) -> None:
    """Print the problem, its status, and the text of the diagnosis."""
    out.print(repr(diagnosis.problem), soft_wrap=True)
    out.print(str(diagnosis.status), style=f"bold {COLOURS[diagnosis.status]}")
    for line in diagnosis.lines():
        out.print(line, soft_wrap=True)


def show_solvers(out: Console, solvers: Mapping[str, Capabilities]) -> None:
    """Print each solver with the features of problems that it does not take."""
    table = _table("solver", "exact", "does not take")
    for name, capabilities in solvers.items():
        missing = ", ".join(feature for feature in Feature if feature not in capabilities.takes)
        table.add_row(name, "yes" if capabilities.exact else "no", missing or "(takes everything)")
    out.print(table)


def solution_facts(solution: Solution) -> dict[str, Any]:
    """Return the facts of a solution, for JSON."""
    witness, assigned = solution.witness, solution.assigned
    return {
        "status": str(solution.status),
        "proof": str(solution.proof),
        "objective": solution.objective,
        "bound": solution.bound,
        "gap": solution.gap,
        "num_clients": solution.problem.num_clients,
        "num_experts": solution.problem.num_experts,
        "client_names": solution.problem.client_names,
        "expert_names": solution.problem.expert_names,
        "set_names": solution.problem.set_names,
        "alignment": None if assigned is None else [part.tolist() for part in _rows(solution)],
        "loads": solution.loads,
        "prices": solution.prices,
        "set_loads": solution.set_loads,
        "set_prices": solution.set_prices,
        "witness": None
        if witness is None
        else {
            "side": witness.side,
            "experts": np.flatnonzero(witness.experts).tolist(),
            "clients": np.flatnonzero(witness.clients).tolist(),
            "missing": witness.missing,
            "sets": witness.sets,
        },
        "explanation": solution.explain(),
        "runtime": solution.runtime,
        "stats": solution.stats,
    }


def diagnosis_facts(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the facts of a diagnosis, for JSON; a worth of "nan" belongs to a bound that does not bind."""
    repair, worth = diagnosis.repair, diagnosis.worth
    return {
        "status": str(diagnosis.status),
        "reasons": list(diagnosis.reasons),
        "notes": list(diagnosis.notes),
        "repair": None
        if repair is None
        else {
            "total": repair.total,
            "bound": repair.bound,
            "proof": str(repair.proof),
            "changes": [{**asdict(change), "cost": change.cost, "words": str(change)} for change in repair.changes],
        },
        "unrepaired": diagnosis.unrepaired,
        "worth": None if worth is None else asdict(worth),
        "words": list(diagnosis.lines()),
        "solution": solution_facts(diagnosis.solution),
    }


def _rows(solution: Solution) -> list[Any]:
    """Return the experts of each client."""
    assert solution.assigned is not None
    return np.split(solution.assigned.experts, solution.assigned.indptr[1:-1]) if solution.problem.num_clients else []


def verification_facts(claim: Claim, checked: Verification) -> dict[str, Any]:
    """Return the claims, the recomputed values and the differences, for JSON."""
    claimed = {
        "status": str(claim.status),
        "proof": str(claim.proof),
        "objective": claim.objective,
        "bound": claim.bound,
        "solver": claim.solver,
    }
    return {
        "holds": checked.holds,
        "differences": list(checked.differences),
        "unconfirmed": list(checked.unconfirmed),
        "claimed": claimed,
        "rechecked": solution_facts(checked.solution),
    }


def solver_facts(solvers: Mapping[str, Capabilities]) -> dict[str, Any]:
    """Return the capabilities of each solver, for JSON."""
    return {
        name: {"exact": capabilities.exact, "takes": [str(part) for part in Feature if part in capabilities.takes]}
        for name, capabilities in solvers.items()
    }


def run_line(run: Run) -> str:
    """Return one run of a race in a line."""
    if run.outcome == "refused":
        return f"{run.solver:14} {run.reason}"
    return f"{run.solver:14} #{run.repeat} {run.total_seconds:9.3f} s  {run.outcome} {number(run.objective)}"


def run_facts(run: Run) -> dict[str, Any]:
    """Return the facts of a run, for JSON; what was not measured is "nan"."""
    return asdict(run)


def show_runs(out: Console, runs: Sequence[Run]) -> None:
    """Print a race: the best objective first, then the fastest; refused solvers are left out."""
    by_solver: dict[str, list[Run]] = {}
    for run in runs:
        if run.outcome != "refused":
            by_solver.setdefault(run.solver, []).append(run)
    table = _table("solver", "seconds", "objective", "what is known")
    table.box, table.caption = box.SIMPLE_HEAD, "seconds: the median of a solver's runs"
    for own in sorted(by_solver.values(), key=lambda own: (_worse(own[-1]), _median(own))):
        last = own[-1]
        value = "—" if last.objective is None else f"{last.objective:.12g}"
        table.add_row(last.solver, f"{_median(own):.3g}", value, _known(last))
    out.print(table)
    refused = sorted({run.solver for run in runs} - by_solver.keys())
    if refused:
        out.print(f"refused, as they cannot take this problem: {', '.join(refused)}", soft_wrap=True)


def _known(run: Run) -> str:
    """Say how a run ended: what it proved, or how far from the bound it stopped."""
    if run.outcome == Status.FEASIBLE:
        return f"{run.outcome}, gap {run.gap:.2g}"
    return run.outcome if run.proof == Proof.NONE else f"{run.outcome} by {run.proof}"


def _worse(run: Run) -> float:
    return float("inf") if run.objective is None else -float(run.objective)


def _median(runs: Sequence[Run]) -> float:
    return statistics.median(run.total_seconds for run in runs)
