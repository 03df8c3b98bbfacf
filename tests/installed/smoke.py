"""What is run where only the wheel is installed: every solver, every command, the code of the pages.

It imports nothing of the checkout. Each way to call it is one fresh process:

    python smoke.py solvers [NAME …]      all solvers, or some, each on every tiny problem that it takes
    python smoke.py files FOLDER          writes what the commands read
    python smoke.py commands              lists the commands of both programs
    python smoke.py pages FOLDER          runs every file of code in the folder, each in a folder of its own
"""

import itertools
import json
import math
import os
import runpy
import sys
import tempfile
from pathlib import Path

import numpy as np
import typer

from alignsolve import SOLVERS, AlignmentProblem, Proof, Status, UnsupportedError, solve
from alignsolve.front import describe_solvers
from alignsolve.io import save_problem

LONG = 60.0
"""Seconds: with a limit, work is done in child processes, as on most calls of users."""


def tiny():
    """Return the arguments of small problems of each kind, by name. The baselines take the last one."""
    rng = np.random.default_rng(0)
    shapes = {"one to one": (4, 4), "both sides": (6, 3), "budgets": (5, 3), "clients only": (4, 3)}
    limits = {
        "one to one": {"expert_capacity": 1},
        "both sides": {"client_demand": 1, "expert_capacity": 2, "expert_demand": 1},
        "budgets": {"client_capacity": 2, "expert_capacity": 2, "client_budget": [4, 3, 5, 4, 3],
                    "expert_cost": [1, 2, 3]},
        "clients only": {"client_capacity": 2},
    }  # fmt: skip
    return {kind: {"fitness": rng.integers(1, 50, shapes[kind]), **given} for kind, given in limits.items()}


def best(given):
    """Return the largest objective of all alignments, by trying them."""
    clients, experts = given["fitness"].shape
    rows = np.array(list(itertools.product((0, 1), repeat=experts)))
    capacity, demand = given.get("client_capacity", 1), given.get("client_demand", 0)
    rows = rows[(rows.sum(axis=1) <= capacity) & (rows.sum(axis=1) >= demand)]
    paid, money = rows @ given.get("expert_cost", [0] * experts), given.get("client_budget", [0] * clients)
    most, least = given.get("expert_capacity", clients), given.get("expert_demand", 0)
    largest = -math.inf
    for choice in itertools.product(*(np.flatnonzero(paid <= each) for each in money)):
        taken = rows[list(choice)]
        load = taken.sum(axis=0)
        if (load <= most).all() and (load >= least).all():
            largest = max(largest, (taken * given["fitness"]).sum())
    return largest


def solvers(names):
    """Ask each solver for every problem that it takes, and compare its answer with the best of all alignments."""
    problems = {kind: AlignmentProblem(**given) for kind, given in tiny().items()}
    optimum = {kind: best(given) for kind, given in tiny().items()}
    described = describe_solvers()
    for name in names or SOLVERS:
        taken = [kind for kind, problem in problems.items() if _answered(name, problem, optimum[kind], described[name])]
        assert taken, f"{name} takes none of {list(problems)}"
        print(f"{name}: {', '.join(taken)}")


def _answered(name, problem, optimum, capabilities):
    """Check a solver's answer; return False if it does not take the problem."""
    try:
        solution = solve(problem, name, time_limit=LONG)
    except UnsupportedError:
        return False
    assert solution.objective <= optimum <= solution.bound, f"{name}: {solution}; the optimum is {optimum}"
    if capabilities.exact:
        assert (solution.status, solution.objective) == (Status.OPTIMAL, optimum), f"{name}: {solution}"
        assert solution.proof is not Proof.NONE, f"{name}: {solution}"
    return True


def files(folder):
    """Write a problem that has an alignment, one that has none, and loads of experts."""
    given = tiny()["both sides"]
    save_problem(AlignmentProblem(**given), folder / "possible.npz")
    save_problem(AlignmentProblem(given["fitness"], expert_demand=3), folder / "impossible.json")
    (folder / "loads.csv").write_text("expert,load\n0,1\n1,1\n2,1\n3,1\n", encoding="utf-8")


def commands():
    """Print the names of all commands, by program, as JSON."""
    from alignsolve import cli as one  # noqa: PLC0415
    from fedtrain import cli as other  # noqa: PLC0415

    programs = {"alignsolve": one.app, "fedtrain": other.app}
    print(json.dumps({name: sorted(typer.main.get_command(app).commands) for name, app in programs.items()}))


def pages(folder):
    """Run the code of every page; a file beside it that a page says it writes lies in the page's folder already."""
    for page in sorted(path for path in folder.iterdir() if path.is_dir()):
        print(page.name, flush=True)
        os.chdir(page)
        sys.path.insert(0, str(page))
        runpy.run_path(str(page / "page.py"), run_name="__main__")
        sys.path.remove(str(page))


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    sys.path.pop(0)  # this file's folder: nothing may be imported from there
    os.chdir(tempfile.mkdtemp()) if what == "solvers" else None
    match what:
        case "solvers":
            solvers(given)
        case "files":
            files(Path(given[0]))
        case "commands":
            commands()
        case "pages":
            pages(Path(given[0]).resolve())
        case _:
            raise SystemExit(__doc__)
