"""Fair measurement: a fresh process per contender, repeats in alternating order, and a timeout.

Each contender of an instance waits in its own process, with the instance made and its code compiled. The contenders run
one at a time, in forward and backward order by turns, so that noise of the machine affects all alike. A contender that
crashes or exceeds the timeout leaves the race with a row that says so.
"""

import contextlib
import json
import math
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from alignsolve.commands.turns import LeftRaceError, take_turns
from benchmarks.case import Case
from benchmarks.machine import ROOT
from benchmarks.trial import Trial

LOADING = 600.0
"""Seconds for making or reading an instance; this time does not count for the contender."""
GONE = ("timeout", "crashed")
"""Outcomes of an attempt that its process did not survive."""
PROGRAM = (sys.executable, "-m", "benchmarks.worker")


def _environment() -> dict[str, str]:
    """Return an environment in which the worker finds the checkout, and the user's solvers in the working directory."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.getcwd(), os.environ.get("PYTHONPATH", "")])}


def _left(trial: Trial) -> LeftRaceError[Trial]:
    """The error of a contender whose process ended or was killed."""
    return LeftRaceError(trial, trial.reason)


class Runner:
    """One contender in its own process.

    Parameters
    ----------
    contender, case
        Who, and on what.
    timeout, time_limit
        Seconds after which an attempt is killed; time limit of our solvers.
    waiting
        Where the process waits for the next instance when it is closed; None: it ends.
    """

    def __init__(
        self,
        contender: str,
        case: Case,
        *,
        timeout: float,
        time_limit: float | None = None,
        waiting: "dict[str, Runner] | None" = None,
    ) -> None:
        self.waiting = waiting
        self.usable = True
        self.contender = contender
        self.case = case
        self.timeout = timeout
        self.time_limit = time_limit
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
        self.process = subprocess.Popen(
            PROGRAM,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=_environment(),
            start_new_session=True,
        )

    def prepare(self) -> None:
        """Make the instance and warm up; raise LeftRaceError if the contender cannot take part."""
        case = asdict(self.case)
        self._must_be_ready(
            self._ask({"do": "load", "contender": self.contender, "time_limit": self.time_limit, "case": case}, LOADING)
        )
        self._must_be_ready(self._ask({"do": "warm_up"}, self.timeout))

    def attempt(self) -> Trial:
        """Run one attempt; raise LeftRaceError if the process does not survive it."""
        return Trial(**self._ask({"do": "attempt"}, self.timeout))

    def close(self) -> None:
        """Let the process wait for the next instance; end it if it cannot."""
        if self.waiting is not None and self.usable and self.process.poll() is None:
            self.waiting[self.contender] = self
        else:
            self.end()

    def end(self) -> None:
        """Kill the process and all processes that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            if stream is not None:
                stream.close()

    def _must_be_ready(self, reply: dict[str, Any]) -> None:
        if reply["outcome"] != "ready":
            raise _left(Trial(**reply))

    def _ask(self, command: dict[str, Any], limit: float) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(command).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise _left(self._crash()) from None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(limit):
                self.usable = False  # it is still at work
                raise _left(Trial("timeout", f"killed after {limit:g} s ({command['do']})"))
        line = self.process.stdout.readline()
        if not line:
            raise _left(self._crash())
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _crash(self) -> Trial:
        """Return a trial that says how the process ended, with its last line on stderr."""
        code = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Trial("crashed", f"{how}: {lines[-1] if lines else 'no message'}")


Entered = TypeVar("Entered", bound=Runner)


def enter_again(
    make: type[Entered],
    contender: str,
    case: Case,
    *,
    timeout: float,
    time_limit: float | None,
    waiting: dict[str, Runner] | None,
) -> Entered:
    """Return the contender's process that waits, for this instance; a new one if none waits."""
    found = None if waiting is None else waiting.pop(contender, None)
    if not isinstance(found, make):
        return make(contender, case, timeout=timeout, time_limit=time_limit, waiting=waiting)
    found.case, found.timeout, found.time_limit = case, timeout, time_limit
    return found


def race(
    case: Case,
    contenders: Sequence[str],
    missing: dict[str, list[int]],
    *,
    timeout: float,
    time_limit: float | None = None,
    once_from: float = math.inf,
    waiting: dict[str, Runner] | None = None,
) -> Iterator[tuple[str, int, Trial]]:
    """Run the missing repeats; yield (contender, repeat, trial) one at a time.

    Parameters
    ----------
    case
        The instance to race on.
    contenders
        Names, in the order of the first round; the next round goes backwards, and so on.
    missing
        Contender → repeats to run. A contender that leaves the race gets one row, for its first missing repeat.
    timeout
        Seconds for each attempt.
    time_limit
        Seconds, passed to our solvers as their time limit.
    once_from
        Seconds from which on one attempt is enough: its contender gets no further repeats.
    waiting
        Processes of an earlier instance, by contender; they are used again, and stay there afterwards. None: each
        instance has processes of its own.
    """

    def enter(name: str) -> Runner:
        return enter_again(Runner, name, case, timeout=timeout, time_limit=time_limit, waiting=waiting)

    yield from take_turns(contenders, missing, enter, gone=GONE, once_from=once_from)
