"""The last answer of work that yields better and better ones, stopped at its deadline.

Most back ends have no time limit of their own, or overrun it. They run in a child process
(:mod:`alignsolve.runtime.child_process`), which is killed when the time is up; the last answer that it sent counts.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

from alignsolve.data.watched import LateError
from alignsolve.runtime.child_process import TimeUpError, WorkError, can_fork, messages
from alignsolve.solution import SolveError
from alignsolve.solver import Answer, Progress, ProgressHook

AHEAD = 0.1
"""Share of the time left by which work that looks at the clock itself should be done before it is stopped."""


def last_answer(
    work: Callable[[], Iterator[Answer | Progress]],
    deadline: float,
    progress: ProgressHook | None = None,
    *,
    enough: float = math.inf,
    deaf: bool = False,
) -> Answer | None:
    """Run work that yields better and better answers, and return the last one that came before the deadline.

    Parameters
    ----------
    work
        Called once. Yields an answer whenever it has a better one, and progress in between.
    deadline
        On the clock of :func:`time.monotonic`. If it is inf, the work runs in this process, unless it is ``deaf``.
    progress
        Called in this process with the progress that the work yields; or None.
    enough
        From then on any answer will do: the work is stopped as soon as there is one.
    deaf
        The work keeps Python's lock for long, or waits for a program. Only another process can be stopped then.

    Returns
    -------
    Answer or None
        The last answer; its ``stats["stopped"]`` is "time limit" if the work was cut off. None if there was none.

    Raises
    ------
    SolveError
        If the work raised or died in its process; with its message. Without a deadline its own error passes.
    OSError
        If the work raised it, for example when the fitness could not be read.
    """
    last: Answer | None = None

    def take(message: Answer | Progress) -> None:
        nonlocal last
        if isinstance(message, Answer):
            last = message
        elif progress is not None:
            progress(message)

    def seconds_left() -> float:
        return (deadline if last is None else min(deadline, enough)) - time.monotonic()

    if deadline == math.inf and not (deaf and can_fork()):
        for message in work():
            take(message)
        return last
    with closing(messages(work, seconds_left)) as sent:
        try:
            for message in sent:
                take(message)
        except TimeUpError:
            return None if last is None else replace(last, stats={**last.stats, "stopped": "time limit"})
        except WorkError as error:
            cause = error.__cause__
            if isinstance(cause, LateError):
                return None if last is None else replace(last, stats={**last.stats, "stopped": str(cause)})
            if isinstance(cause, OSError):
                raise cause from None  # the source of the fitness failed, not the solver
            raise _told(error) from cause
    return last


def _told(error: WorkError) -> SolveError:
    """Turn an error of the work into one that :func:`alignsolve.solve` raises, with its notes."""
    told = SolveError(str(error))
    for note in getattr(error, "__notes__", []):
        told.add_note(note)
    return told


def ahead_of(deadline: float) -> float:
    """A little before a deadline: for work that looks at the clock, so that its last answer is out in time."""
    now = time.monotonic()
    return deadline if deadline == math.inf or deadline <= now else deadline - AHEAD * (deadline - now)
