"""The best that is known of each instance of the suite ``real``: an optimum, or an objective and a bound.

``python -m benchmarks.references`` asks some contenders for each instance, with a time limit, and keeps what is better
than what is known in ``benchmarks/results/references.csv``. ``--data`` names the folder of the measured inputs;
without it, the instances are made of the drawn stand-in.

An instance is known by its fingerprint: if an instance changes, its reference starts anew.
"""

import csv
import fnmatch
import hashlib
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from alignsolve import AlignmentProblem, ProblemClass, Proof, Solution, UnsupportedError, solve
from alignsolve.numerics import OPTIMALITY, relative_gap
from alignsolve.problem import FIELDS
from alignsolve.solver import Wanted
from benchmarks.case import Case
from benchmarks.entrants import find
from benchmarks.instances import make
from benchmarks.machine import now, this_machine
from benchmarks.ours import Ours
from benchmarks.real import num_layers, real_cases
from problems.real_inputs import sources

REFERENCES = Path(__file__).parent / "results" / "references.csv"
ASKED = {
    ProblemClass.CARDINALITY: ("auto", "sift"),
    ProblemClass.GENERAL: ("auto", "budgets", "benchmarks.relaxed:Relaxed", "ilp"),
}
"""Who is asked for a reference, by the class of the problem."""
BACK_ENDS = ("ilp", "ilp-cbc", "cpsat")
"""Their word counts; of all others only bounds that are recomputed from the problem's data."""


@dataclass(frozen=True)
class Reference:
    """What is known of one instance.

    Attributes
    ----------
    instance
        Name; it begins with the source of the inputs, ``real`` or ``drawn``.
    num_clients, num_layers, num_experts
        Sizes; ``num_experts`` counts those of all layers together.
    class_, features
        The problem's class, and its features, separated by semicolons.
    fingerprint
        SHA-256 of all fields of the problem.
    objective, found_by
        The best objective, and the contender that found its alignment.
    bound, proof, bound_by
        The lowest bound, how it was proven ("PRICES", "TREE", or a back end's word, "SOLVER"), and by whom.
    seconds
        Time limit of each contender.
    commit, date
        When the row was last improved.
    """

    instance: str
    num_clients: int
    num_layers: int
    num_experts: int
    class_: str
    features: str
    fingerprint: str
    objective: float
    found_by: str
    bound: float
    proof: str
    bound_by: str
    seconds: float
    commit: str
    date: str

    @property
    def gap(self) -> float:
        """Relative distance of bound and objective; 0 for an optimum."""
        found = relative_gap(self.bound, self.objective) if math.isfinite(self.objective) else math.inf
        return 0.0 if found <= OPTIMALITY else found


def fingerprint(problem: AlignmentProblem) -> str:
    """Return the SHA-256 of all fields: name, type, shape and bytes of each, broadcast values at full size."""
    whole = hashlib.sha256()
    for name in FIELDS:
        value = getattr(problem, name)
        if value is not None:
            array = np.ascontiguousarray(np.asarray(value))
            array = array.astype(array.dtype.newbyteorder("<"), copy=False)
            whole.update(f"{name} {array.dtype.str} {array.shape};".encode())
            whole.update(array.data if array.size else b"")
    return whole.hexdigest()


def read_references(path: Path = REFERENCES) -> dict[str, Reference]:
    """Read the references by instance; none where there is no file.

    Raises
    ------
    ValueError
        If the file has other columns.
    """
    if not path.exists():
        return {}
    kinds = {each.name: each.type for each in fields(Reference)}
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.DictReader(file)
        if lines.fieldnames != list(kinds):
            raise ValueError(f"{path.name} is no file of references: its columns must be {', '.join(kinds)}")
        rows = [{name: _READERS[kinds[name]](cell) for name, cell in line.items()} for line in lines]
    found = [Reference(**row) for row in rows]
    return {each.instance: each for each in found}


_READERS: dict[Any, Any] = {str: str, int: int, float: float}


def write_references(known: Iterable[Reference], path: Path = REFERENCES) -> None:
    """Write all references, in the order of sources, sizes and names."""
    ordered = sorted(known, key=lambda one: (one.instance.partition("-")[0], one.num_clients, one.num_experts))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [each.name for each in fields(Reference)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(one) for one in ordered)


def improved(
    known: Reference | None,
    case: Case,
    problem: AlignmentProblem,
    asked: Sequence[str],
    seconds: float,
    commit: str = "",
) -> Reference:
    """Ask contenders of :func:`alignsolve.solve` for an instance, and return what is known afterwards.

    Parameters
    ----------
    known
        What was known before; None: nothing.
    case, problem
        The instance.
    asked
        Names of solvers, or ``package.module:callable``; one that refuses the problem is passed over.
    seconds
        Time limit of each.
    commit
        The commit that is noted where the reference gets better.
    """
    digest = fingerprint(problem)
    features = "; ".join(sorted(str(each) for each in problem.features))
    if known is None or known.fingerprint != digest:
        known = Reference(case.name, problem.num_clients, num_layers(case), problem.num_experts, str(problem.class_),
                          features, digest, -math.inf, "", math.inf, "", "", 0.0, "", "")  # fmt: skip
    for name in asked:
        if known.gap == 0.0:
            break
        try:
            proof: Wanted = "any" if name in BACK_ENDS else "own"
            found = solve(problem, _solver(name), time_limit=seconds, proof=proof, throw=False)
        except UnsupportedError:
            continue
        stamp: dict[str, Any] = {"seconds": seconds, "commit": commit, "date": now()}
        short = name.rpartition(":")[2].lower()
        if found.objective is not None and found.objective > known.objective:
            known = replace(known, objective=float(found.objective), found_by=short, **stamp)
        if found.bound < known.bound:
            known = replace(known, bound=float(found.bound), proof=_proof(found, name), bound_by=short, **stamp)
    return known


def _solver(name: str) -> Any:
    """Return a solver's name, or the solver that ``package.module:callable`` names."""
    found = find(name)
    assert isinstance(found, Ours)  # peers return no bound that was checked
    return found.solver


def _proof(found: Solution, name: str) -> str:
    """Return what proves the bound of an answer, closed or not."""
    if found.proof is not Proof.NONE:
        return str(found.proof)
    if name in BACK_ENDS:
        return str(Proof.SOLVER)
    return str(Proof.PRICES if found.tree is None else Proof.TREE)


def main(
    data: Annotated[Path | None, typer.Option(help="Folder of measured inputs; default: the drawn stand-in.")] = None,
    seconds: Annotated[float, typer.Option(help="Time limit of each contender.")] = 10.0,
    only: Annotated[str, typer.Option(help="Glob for instances.")] = "*",
    solver: Annotated[list[str] | None, typer.Option(help="Whom to ask; default: by the problem's class.")] = None,
    out: Annotated[Path, typer.Option(help="CSV file of the references.")] = REFERENCES,
) -> None:
    """Improve the references of the suite ``real``; print the gaps that are left."""
    folder = None if data is None else str(data)
    for line in sources(folder):
        typer.echo(line)
    known, commit = read_references(out), this_machine().commit
    for case in real_cases(folder):
        if not fnmatch.fnmatchcase(case.name, only):
            continue
        began, problem = time.monotonic(), make(case)
        one = improved(known.get(case.name), case, problem, solver or ASKED[problem.class_], seconds, commit)
        known[case.name] = one
        write_references(known.values(), out)
        took = time.monotonic() - began
        typer.echo(f"{one.instance:44} {one.objective:.6f} gap {one.gap:.2g} {one.proof} {one.bound_by} {took:.1f} s")


if __name__ == "__main__":
    typer.run(main)
