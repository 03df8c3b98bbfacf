"""Runs a back end that has no time limit of its own where it can be stopped: a child process, killed at the deadline.

The child is a plain fork, so that the problem is shared and not copied, and the work needs no pickling; only answers
and progress travel, through a pipe. It lives in a process group of its own: whatever it starts is killed with it, and a
Ctrl-C reaches the parent alone, which kills the group on its way out. If the parent dies, the child sees the pipe close
and ends itself. Threads do not survive a fork: work that runs here must start its own (OpenBLAS and OR-Tools do) and
must not enter numba's parallel loops. Threads of the parent that rest are harmless; but OpenBLAS's fork handler may
never return while another thread of the parent is inside one of its parallel routines (seen; any fork has that danger).
A program that multiplies matrices in one thread while it solves with a time limit in another sets
OPENBLAS_NUM_THREADS=1.

Where there is no fork (Windows) the work runs in a thread, which cannot be killed: at the deadline it is left behind,
ends at its next answer, and until then goes on to use its core.
"""

import math
import os
import queue
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import NoReturn

from alignsolve.solution import SolveError
from alignsolve.solver import Answer, Progress, ProgressHook

Work = Callable[[], Iterator[Answer | Progress]]
AHEAD = 0.1
"""Share of the time left by which work that looks at the clock itself should be done before it is stopped."""
LONGEST_WAIT = 1e6
"""Seconds that one wait may take; a system's own limit lies above."""


def last_answer(
    work: Work, deadline: float, progress: ProgressHook | None = None, *, enough: float = math.inf
) -> Answer | None:
    """Run work that yields better and better answers, and return the last one that came before the deadline.

    Parameters
    ----------
    work
        Called once. Yields an answer whenever it has one, the best so far, and progress in between.
    deadline
        On the clock of :func:`time.monotonic`. If it is inf, the work runs in this process.
    progress
        Called in this process with the progress that the work yields; or None.
    enough
        From then on any answer will do: the work is stopped as soon as there is one.

    Returns
    -------
    Answer or None
        The last answer; its ``stats["stopped"]`` is "time limit" if the work was cut off. None if there was none.

    Raises
    ------
    SolveError
        If the work raised or died in its process; with its message. Without a deadline its own error passes.
    """
    if deadline == math.inf:
        last: Answer | None = None
        for message in work():
            last = _sorted(message, last, progress)
        return last
    apart = _in_a_child if hasattr(os, "fork") else _in_a_thread
    return apart(work, deadline, enough, progress)


def ahead_of(deadline: float) -> float:
    """A little before a deadline: for work that looks at the clock, so that its last answer is out in time."""
    now = time.monotonic()
    return deadline if deadline == math.inf or deadline <= now else deadline - AHEAD * (deadline - now)


def _sorted(message: Answer | Progress, last: Answer | None, progress: ProgressHook | None) -> Answer | None:
    """Keep an answer in the place of the last one; pass progress on."""
    if isinstance(message, Answer):
        return message
    if progress is not None:
        progress(message)
    return last


def _left(last: Answer | None, deadline: float, enough: float) -> float:
    """Seconds for which it is worth waiting."""
    return (deadline if last is None else min(deadline, enough)) - time.monotonic()


def _in_a_child(work: Work, deadline: float, enough: float, progress: ProgressHook | None) -> Answer | None:
    ours, theirs = Pipe()
    child = _fork(work, ours, theirs)
    try:
        theirs.close()
        return _listen(ours, child, deadline, enough, progress)
    finally:
        ours.close()
        _end(child)


def _fork(work: Work, ours: Connection, theirs: Connection) -> int:
    with warnings.catch_warnings():
        # Newer Pythons warn of any fork beside threads; the module's docstring says what holds here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        with suppress(ProcessLookupError, PermissionError):
            os.setpgid(child, child)  # the child does so too: whoever comes first
        return child
    _be_the_child(work, ours, theirs)


def _be_the_child(work: Work, ours: Connection, theirs: Connection) -> NoReturn:  # pragma: no cover (another process)
    """Work, send every answer, and leave without running anything that belongs to the parent's exit."""
    try:
        os.setpgid(0, 0)
        ours.close()
        threading.Thread(target=_follow_the_parent, args=(theirs,), daemon=True).start()
        for answer in work():
            theirs.send(answer)
        theirs.send(None)
    except BaseException as error:
        with suppress(OSError):
            theirs.send((f"{type(error).__name__}: {error}", traceback.format_exc()))
    finally:
        os._exit(0)


def _follow_the_parent(theirs: Connection) -> None:  # pragma: no cover (another process)
    """Wait for the parent's end to close, which it does when the parent dies; then end the group."""
    with suppress(EOFError, OSError):
        theirs.recv()
    os.killpg(0, signal.SIGKILL)


def _listen(
    ours: Connection, child: int, deadline: float, enough: float, progress: ProgressHook | None
) -> Answer | None:
    """Take answers until the work is done or the time is up."""
    last: Answer | None = None
    while (left := _left(last, deadline, enough)) > 0:
        if not ours.poll(min(left, LONGEST_WAIT)):
            continue
        try:
            message = ours.recv()
        except (EOFError, ConnectionResetError):
            raise SolveError(f"the solver's process died: {_epitaph(child)}") from None
        if message is None:
            return last
        if isinstance(message, tuple):
            raise _failure(*message)
        last = _sorted(message, last, progress)
    return _cut_off(last)


def _failure(message: str, trace: str) -> SolveError:
    error = SolveError(f"the solver failed: {message}")
    error.add_note(f"In the solver's process:\n{trace}")
    return error


def _epitaph(child: int) -> str:
    """Wait for a child that has closed its pipe, and tell how it ended. It stays for :func:`_end` to collect."""
    ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    if ended is None or ended.si_code == os.CLD_EXITED:
        return f"exit code {ended.si_status if ended else 'unknown'}"
    return f"signal {signal.Signals(ended.si_status).name}"


def _end(child: int) -> None:
    """Kill the child's group, whether it still works or not, and collect the child: no zombie stays."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _cut_off(last: Answer | None) -> Answer | None:
    return None if last is None else replace(last, stats={**last.stats, "stopped": "time limit"})


def _in_a_thread(work: Work, deadline: float, enough: float, progress: ProgressHook | None) -> Answer | None:
    """Do the same without a fork; see the module's docstring for what it cannot do."""
    messages: queue.SimpleQueue[Answer | Progress | BaseException | None] = queue.SimpleQueue()
    left_behind = threading.Event()

    def run() -> None:
        try:
            for answer in work():
                messages.put(answer)
                if left_behind.is_set():
                    return
            messages.put(None)
        except BaseException as error:
            messages.put(error)

    threading.Thread(target=run, daemon=True).start()
    last: Answer | None = None
    try:
        while (left := _left(last, deadline, enough)) > 0:
            with suppress(queue.Empty):
                message = messages.get(timeout=min(left, LONGEST_WAIT))
                if message is None:
                    return last
                if isinstance(message, BaseException):
                    raise SolveError(f"the solver failed: {type(message).__name__}: {message}") from message
                last = _sorted(message, last, progress)
        return _cut_off(last)
    finally:
        left_behind.set()
