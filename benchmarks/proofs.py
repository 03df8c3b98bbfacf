"""How many problems of the general class are proven by prices or a tree, and not by a back end's word.

``python -m benchmarks.proofs`` draws problems of the family ``mixed``, 30 x 8 to 100 x 12, asks ``auto`` with a time
limit, writes the solution and verifies it. ``--data DIR`` reads the classical instances of generalised assignment
instead (see :mod:`.gap`); there ``alignsolve solve --proof own`` and ``alignsolve verify`` run in processes of their
own. Each problem is a row of a CSV file.
"""

import csv
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from alignsolve import AlignmentProblem, Proof, solve
from alignsolve.certificate.verify import verify
from alignsolve.io.records import load_solution, save_problem, save_solution
from alignsolve.numerics import relative_gap
from problems import FAMILIES, orlib

LEAST, MOST = (30, 8), (100, 12)
"""Clients and experts of the smallest and of the largest problem."""
OWN = (Proof.PRICES, Proof.TREE)


def measure(
    number: Annotated[int, typer.Option(min=1, help="Number of problems that are drawn.")] = 500,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time limit of each problem.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the problems.")] = 0,
    data: Annotated[Path | None, typer.Option(help="Folder of classical instances, in place of drawn ones.")] = None,
    output: Annotated[Path, typer.Option(help="CSV file to write.")] = Path("proofs.csv"),
) -> None:
    """Solve, write, verify; print how many are proven, and what holds the others back."""
    rows: list[dict[str, Any]] = []
    with output.open("w", newline="") as file:
        for name, problem in _instances(data) if data is not None else _drawn(number, seed):
            rows.append({"instance": name, **_row(problem, seconds, data is not None)})
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            if len(rows) == 1:
                writer.writeheader()
            writer.writerow(rows[-1])
            file.flush()
    proven = sum(row["proof"] in OWN for row in rows)
    print(f"{proven} of {len(rows)} proven by prices or a tree ({100.0 * proven / len(rows):.1f} %)")
    for row in rows:
        if row["proof"] not in OWN:
            print(f"{row['instance']}: {row['status']} {row['proof']}, gap {row['gap']:.2g}, {row['features']}")


def _drawn(number: int, seed: int) -> Iterator[tuple[str, AlignmentProblem]]:
    for k in range(number):
        rng = np.random.default_rng([seed, k])
        clients, experts = (int(rng.integers(low, high + 1)) for low, high in zip(LEAST, MOST, strict=True))
        yield f"{seed}-{k}", FAMILIES["mixed"](rng, num_clients=clients, num_experts=experts)


def _instances(folder: Path) -> Iterator[tuple[str, AlignmentProblem]]:
    for path in sorted(folder.glob("*.txt")):
        yield path.stem, orlib.read(path)


def _row(problem: AlignmentProblem, seconds: float, apart: bool) -> dict[str, Any]:
    """Solve and verify one problem, here or by the command line in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        given, answer = (Path(folder) / name for name in ("problem.npz", "solution.npz"))
        if apart:
            save_problem(problem, given)
            solving, _ = _command("solve", given, "--time-limit", seconds, "--proof", "own", "-o", answer)
            checking, told = _command("verify", given, answer)
            holds = "everything holds" in told
        else:
            began = time.monotonic()
            save_solution(solve(problem, time_limit=seconds, throw=False), answer)
            solving, began = time.monotonic() - began, time.monotonic()
            checked = verify(problem, load_solution(answer))
            checking, holds = time.monotonic() - began, checked.holds and not checked.unconfirmed
        claim, size = load_solution(answer), answer.stat().st_size
    gap = math.inf if claim.objective is None else relative_gap(claim.bound, claim.objective)
    return {
        "num_clients": problem.num_clients,
        "num_experts": problem.num_experts,
        "features": " ".join(sorted(feature.name.lower() for feature in problem.features)),
        "status": str(claim.status),
        "proof": str(claim.proof),
        "gap": gap,
        "leaves": 0 if claim.tree is None else claim.tree.num_leaves,
        "file_bytes": size,
        "solve_seconds": round(solving, 3),
        "verify_seconds": round(checking, 3),
        "verified": holds,
    }


def _command(*words: object) -> tuple[float, str]:
    """Run ``alignsolve`` with these words; return its seconds and what it printed."""
    began = time.monotonic()
    command = [sys.executable, "-m", "alignsolve.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return time.monotonic() - began, done.stdout


if __name__ == "__main__":
    typer.run(measure)
