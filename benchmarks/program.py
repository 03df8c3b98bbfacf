"""A contender in any language: a program that reads the problem from a file and writes its answer to a file.

It is called as ``PROGRAM PROBLEM ANSWER SECONDS``. PROBLEM is a record of a problem in JSON. ANSWER is the path where
it writes a record of a solution in JSON. SECONDS is its time limit, or ``inf``. While it runs it may print lines
``objective VALUE`` and ``bound VALUE`` for what it has found so far. ``docs/instance-files.md`` describes both files.

The program's words count for little: its alignment is checked as all others are, and only a bound that follows from
prices in its answer counts. A program that writes no answer has none; the last line that it printed is the reason.
"""

import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from alignsolve import AlignmentProblem
from alignsolve.io import FileError, load_solution, save_problem
from benchmarks.contender import Claim, Report

MARK = "program:"
"""Begins the name of such a contender; the path of the program follows."""
LONGEST = 200
"""Characters of a reason."""


@dataclass(frozen=True)
class Program:
    """A program that takes part by files.

    Parameters
    ----------
    path
        The program: a file that can be executed, or a name on the search path.
    time_limit
        Seconds, passed to the program; None: no limit.
    """

    path: str
    time_limit: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be executed."""
        if shutil.which(self.path) is None:
            raise ValueError(f"{self.path!r} is no program that can be executed; give a path, and chmod +x the file")

    def refusal(self, problem: AlignmentProblem) -> str | None:
        """Return None: the program itself says what it does not take."""
        return None

    def build(self, problem: AlignmentProblem) -> tuple[tempfile.TemporaryDirectory[str], int]:
        """Write the file of the problem; the seconds count, as they do for a user."""
        folder = tempfile.TemporaryDirectory(prefix="alignsolve-program-")
        save_problem(problem, Path(folder.name) / "problem.json")
        return folder, problem.num_sets

    def solve(self, model: tuple[tempfile.TemporaryDirectory[str], int]) -> Claim:
        """Run the program, and read its answer."""
        return self.follow(model, lambda objective, bound: None)

    def follow(self, model: tuple[tempfile.TemporaryDirectory[str], int], report: Report) -> Claim:
        """Run the program, pass on what it prints, and read its answer."""
        folder, num_sets = model
        with folder as name:
            answer = Path(name) / "answer.json"
            words = [self.path, str(Path(name) / "problem.json"), str(answer), str(self.time_limit or math.inf)]
            with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, encoding="utf-8", errors="replace") as run:
                assert run.stdout is not None
                last = _listen(run.stdout, report)
            if run.returncode:
                raise RuntimeError(f"{os.path.basename(self.path)} ended with {run.returncode}; {last[:LONGEST]}")
            return _claim(answer, num_sets) if answer.exists() else Claim(f"no answer; {last[:LONGEST]}")


def _listen(lines: Iterable[str], report: Report) -> str:
    """Pass on objectives and bounds; return the last other line."""
    objective, bound, last = -math.inf, math.inf, ""
    for line in lines:
        word, _, value = line.strip().partition(" ")
        try:
            number = float(value)
        except ValueError:
            last = line.strip() or last
            continue
        if word == "objective":
            objective = max(objective, number)
        elif word == "bound":
            bound = min(bound, number)
        report(objective, bound)
    return last


def _claim(answer: Path, num_sets: int) -> Claim:
    """Read the answer; only its alignment and its prices are taken."""
    try:
        read = load_solution(answer)
    except FileError as error:
        raise RuntimeError(f"its answer cannot be read: {error}") from error
    return Claim(str(read.status), read.assigned, None if num_sets else read.prices)
