"""The process of one contender on one instance; :mod:`benchmarks.measure` sends its commands.

Commands and replies are JSON, one per line. Output of back ends goes to stderr, so that it cannot be mistaken for a
reply. An exception ends the process; its last line on stderr becomes the reason in the row.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from alignsolve import AlignmentProblem
from alignsolve.numerics import Number
from benchmarks.case import Case
from benchmarks.contender import Contender
from benchmarks.entrants import find
from benchmarks.instances import make
from benchmarks.trial import Trial, attempt, judgement


def main() -> None:
    """Serve until stdin ends."""
    with os.fdopen(os.dup(1), "w") as replies:
        os.dup2(2, 1)

        def tell(reply: dict[str, Any]) -> None:
            replies.write(json.dumps(reply) + "\n")
            replies.flush()

        worker = _Worker(tell)
        for line in sys.stdin:
            command = json.loads(line)
            tell(getattr(worker, command.pop("do"))(**command))


class _Worker:
    """The commands, in the order in which they are sent."""

    contender: Contender
    case: Case
    problem: AlignmentProblem

    def __init__(self, tell: Callable[[dict[str, Any]], None]) -> None:
        self.tell = tell

    def load(self, contender: str, time_limit: float | None, case: dict[str, Any]) -> dict[str, Any]:
        """Import the contender and make the instance; reply "ready", or why the contender cannot take part."""
        self.case = Case(**case)
        self.problem = make(self.case)
        try:
            self.contender = find(contender, time_limit)
            reason = self.contender.refusal(self.problem)
        except ImportError as error:
            return asdict(Trial("missing", f"not installed: {error}"))
        if reason is not None:
            return asdict(Trial("refused", reason))
        return {"outcome": "ready"}

    def warm_up(self) -> dict[str, Any]:
        """Compile and import on a smaller instance, and let our solvers compile for the instance itself."""
        sibling = make(self.case.warm_up())
        if self.contender.refusal(sibling) is not None:
            return {"outcome": "ready"}
        try:
            self.contender.solve(self.contender.build(sibling))
        except ImportError as error:
            return asdict(Trial("missing", f"not installed: {error}"))
        prepare = getattr(self.contender, "prepare", None)
        if prepare is not None:
            prepare(self.problem)
        return {"outcome": "ready"}

    def attempt(self) -> dict[str, Any]:
        """Return one attempt, measured and checked."""
        return asdict(attempt(self.contender, self.problem))

    def follow(self) -> dict[str, Any]:
        """Tell each point on the way, ``{"point": [seconds, objective, bound]}``; return the attempt, checked."""
        own, started, lock = getattr(self.contender, "follow", None), time.perf_counter(), threading.Lock()

        def report(objective: Number, bound: Number) -> None:
            with lock:  # several parts of a problem may report from threads of their own
                self.tell({"point": [time.perf_counter() - started, objective, bound]})

        model = self.contender.build(self.problem)
        built = time.perf_counter()
        claim = self.contender.solve(model) if own is None else own(model, report)
        solved = time.perf_counter()
        trial = judgement(self.problem, claim)
        return asdict(replace(trial, build_seconds=built - started, solve_seconds=solved - built))


if __name__ == "__main__":
    main()
