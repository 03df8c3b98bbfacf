"""Runs examples of several kinds in turn; the kind that had least of its share of the time comes next."""

import time
import traceback
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.fuzz import claims, files, models, operations, problems, reports, rows
from tests.fuzz.tally import Fault, Tally
from tests.fuzz.watch import EVERY_ERROR, HangError, Note

Example = Callable[[np.random.Generator, Tally], Fault | None]
EXAMPLES: dict[str, float] = {
    "problems": 10.0, "rows": 1.0, "models": 2.0, "claims": 1.0, "files": 1.0, "reports": 0.5, "replies": 0.5,
    "operations": 0.5,
}  # fmt: skip
"""Every kind, and its share of the time."""
PLAIN: dict[str, Example] = {
    "rows": rows.example, "models": models.example, "claims": claims.example, "files": files.example,
    "reports": reports.example, "operations": operations.example,
}  # fmt: skip
TOLD = 60.0
"""Seconds between two lines about how far it is."""
LONGEST = 6000
"""Characters of a fault's code that are printed."""
MOST_FAULTS = 25
"""Faults after which a run ends: the first ones tell enough."""


def run(
    *,
    seed: int,
    minutes: float,
    kinds: Sequence[str],
    solvers: Sequence[str] = (),
    answers: int | None = None,
    first: int = 0,
    note: Path,
    tell: Callable[[str], None],
) -> tuple[Tally, float]:
    """Run examples until the time is over, or until there are so many answers; return the counts, and the minutes.

    Parameters
    ----------
    seed, first
        Seed, and the number of the first example of each kind; both fix an example.
    minutes, answers
        Whichever comes first.
    kinds, solvers
        What is run, and the solvers that are asked problems; none: all of them.
    note
        File that says which example is under way.
    tell
        Takes lines of text.
    """
    tally, spent = Tally(), dict.fromkeys(kinds, 0.0)
    numbers = dict.fromkeys(kinds, first)
    under_way, began = Note(note), time.monotonic()
    told = began
    while time.monotonic() - began < 60.0 * minutes and len(tally.faults) < MOST_FAULTS:
        if answers is not None and tally.answers.total() >= answers:
            break
        kind = min(kinds, key=lambda name: spent[name] / EXAMPLES[name])
        started, name = time.monotonic(), f"--seed {seed} --only {kind} --first {numbers[kind]}"
        with under_way.of(name):
            fault = _safely(kind, seed, numbers[kind], tally, solvers)
        if fault is not None:
            tally.faults.append(replace(fault, example=name))
            tell(f"\n# {name}\n# {fault.told}\n{fault.code[:LONGEST]}\n")
        tally.counts[f"examples: {kind}"] += 1
        numbers[kind] += 1
        spent[kind] += time.monotonic() - started
        if time.monotonic() - told > TOLD:
            told = time.monotonic()
            tell(f"{(told - began) / 60:.1f} min: {tally.answers.total()} answers, {dict(numbers)}, "
                 f"{len(tally.faults)} faults")  # fmt: skip
    return tally, (time.monotonic() - began) / 60.0


def _safely(kind: str, seed: int, number: int, tally: Tally, solvers: Sequence[str]) -> Fault | None:
    """Run one example; what nobody expected to fail is a fault, too."""
    try:
        return one(kind, seed, number, tally, solvers)
    except (HangError, *EVERY_ERROR) as error:
        return Fault("", f"{type(error).__name__}: {error}", traceback.format_exc())


def one(kind: str, seed: int, number: int, tally: Tally, solvers: Sequence[str] = ()) -> Fault | None:
    """Run one example; the seed, the kind and the number fix it."""
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), number])
    if kind == "problems":
        return problems.example(rng, tally, solvers)
    if kind == "replies":
        from tests.fuzz import replies  # noqa: PLC0415  (loads torch)

        return replies.example(rng, tally)
    if kind in PLAIN:
        return PLAIN[kind](rng, tally)
    raise ValueError(f"there is no kind {kind!r}; there are: {', '.join(EXAMPLES)}")
