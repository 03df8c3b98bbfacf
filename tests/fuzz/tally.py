"""What was asked and found: counts for each kind, solver, status and pair of features; faults; and the kept row."""

import csv
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from alignsolve import Feature
from alignsolve.front import SOLVERS

UNLIKE = {
    Feature.SPARSE: {Feature.WEIGHTED_LOADS, Feature.BUDGETS, Feature.EXPERT_SETS, Feature.CROSSING_SETS,
                     Feature.OPTIONAL_DEMANDS},
}  # fmt: skip
"""Features that no problem has together: the class says so when it is made."""
KINDS = ("problems", "rows", "models", "claims", "files", "reports", "replies", "operations")
COLUMNS = ("commit", "seed", "minutes", "answers", "general", "faults", "unproven", "refused", "problems",
           "fewest of a pair", *(f"examples: {kind}" for kind in KINDS), *(f"answers: {name}" for name in SOLVERS),
           "models without an alignment", "files", "claims", "lies")  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """Something wrong.

    Attributes
    ----------
    example
        Kind and number, to see it again: ``--first``.
    told
        What is wrong.
    code
        A test that fails as long as it is.
    """

    example: str
    told: str
    code: str = ""


@dataclass
class Tally:
    """Counts of a run.

    Attributes
    ----------
    answers
        Answers of each solver to problems with known truth.
    counts
        Everything else that is counted, by name.
    pairs
        Problems with each pair of features.
    faults
        What is wrong.
    """

    answers: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[Feature, Feature]] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)

    def note_problem(self, features: frozenset[Feature]) -> None:
        """Count a problem, and its pairs of features."""
        self.counts["problems"] += 1
        self.pairs.update(combinations(sorted(features), 2))

    def fewest(self) -> int:
        """Problems with the rarest pair of features."""
        pairs = combinations(sorted(Feature), 2)
        return min(self.pairs[pair] for pair in pairs if not any(set(pair) & UNLIKE.get(each, set()) for each in pair))

    def row(self, seed: int, minutes: float) -> dict[str, object]:
        """One row of figures."""
        plain: dict[str, object] = {
            "commit": _commit(),
            "seed": seed,
            "minutes": round(minutes, 1),
            "answers": self.answers.total(),
            "faults": len(self.faults),
        }
        plain |= {"fewest of a pair": self.fewest()}
        plain |= {f"answers: {name}": self.answers[name] for name in SOLVERS}
        return {name: plain.get(name, self.counts[name]) for name in COLUMNS}

    def append(self, path: Path, seed: int, minutes: float) -> None:
        """Add the row to a CSV file; rows that were kept before a solver was asked have 0 in its column."""
        kept: list[dict[str, Any]] = []
        if path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                kept = list(csv.DictReader(file))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="0", lineterminator="\n")
            writer.writeheader()
            writer.writerows([*kept, self.row(seed, minutes)])


def _commit() -> str:
    """The commit that is tested, with a plus where files were changed; empty outside of a checkout."""
    command = ["git", "describe", "--always", "--dirty=+"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    except OSError:  # there is no git
        return ""
    return told.stdout.strip()
