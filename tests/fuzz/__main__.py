"""The command: runs examples of every kind for some minutes, prints what is wrong as tests, and keeps a row."""

import argparse
import sys
import tempfile
from pathlib import Path

from alignsolve.front import SOLVERS
from tests.fuzz.run import EXAMPLES, run

ROWS = Path(__file__).parent / "rows.csv"


def main(arguments: list[str] | None = None) -> int:
    """Run; return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long to run; default: 2")
    parser.add_argument("--seed", type=int, default=0, help="fixes every example by its number")
    parser.add_argument("--only", default="", help=f"kinds, with commas: {','.join(EXAMPLES)}")
    parser.add_argument("--solvers", default="", help="solvers that are asked, with commas; default: all")
    parser.add_argument("--answers", type=int, default=None, help="end after so many answers to problems")
    parser.add_argument("--first", type=int, default=0, help="number of the first example of each kind")
    parser.add_argument(
        "--row", type=Path, nargs="?", const=ROWS, default=None, help=f"add a row to a file: {ROWS.name}"
    )
    given = parser.parse_args(arguments)
    kinds = [name for name in given.only.split(",") if name] or list(EXAMPLES)
    solvers = [name for name in given.solvers.split(",") if name]
    if not set(kinds) <= set(EXAMPLES) or not set(solvers) <= set(SOLVERS):
        parser.error(f"--only has names of {', '.join(EXAMPLES)}; --solvers of {', '.join(SOLVERS)}")
    note = Path(tempfile.gettempdir()) / f"alignsolve-fuzz-{given.seed}.txt"
    print(f"what is under way: {note}", flush=True)
    tally, minutes = run(
        seed=given.seed,
        minutes=given.minutes,
        kinds=kinds,
        solvers=solvers,
        answers=given.answers,
        first=given.first,
        note=note,
        tell=lambda text: print(text, flush=True),
    )
    for name, value in tally.row(given.seed, minutes).items():
        print(f"{name:24} {value}")
    if given.row is not None:
        tally.append(given.row, given.seed, minutes)
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
