"""Runs work that cannot stop by itself where it can be stopped: in a child process, killed when the time is up.

The child is a plain fork: the problem is shared and not copied, and the work needs no pickling. Only its messages
travel, through a pipe. The child leads a process group of its own, so whatever it starts is killed with it. A Ctrl-C
reaches the parent alone, which kills the group on its way out. If the parent dies, the child sees the pipe close and
ends itself.

Threads do not survive a fork. Work that runs here must start its own threads (OpenBLAS and OR-Tools do) and must not
enter numba's parallel loops. Idle threads of the parent are harmless. But OpenBLAS's fork handler may never return
while another thread of the parent is inside one of its parallel routines (this was seen; any fork has that danger). A
program that multiplies matrices in one thread while it solves with a time limit in another sets
OPENBLAS_NUM_THREADS=1.

Windows has no fork. On macOS a fork is not safe: NumPy computes with Accelerate there, whose threads a child cannot
use. There the work runs in a thread, which cannot be killed. When the time is up it is left behind: it ends at its next
message, and until then goes on to use its core. A spawned process is no way out. It would import the user's program a
second time, and could not be sent work that holds functions of the user.
"""

import os
import pickle
import queue
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NoReturn, TypeVar

from alignsolve.runtime.interruptible import stopped_by

Message = TypeVar("Message")
Work = Callable[[], Iterator[Message]]
LONGEST_WAIT = 1e6
"""Seconds that one wait may take; a system's own limit lies above."""


class WorkError(RuntimeError):
    """The work raised an error, or its process died; the message tells which."""


class TimeUpError(Exception):
    """The time was up before the work was done."""


def messages(work: Work[Message], seconds_left: Callable[[], float]) -> Generator[Message, None, None]:
    """Run work apart and pass on what it yields, until it is done or its time is up.

    Close the generator when no more messages are wanted: that kills the child (:func:`contextlib.closing`).

    Parameters
    ----------
    work
        Called once, in the child. Yields messages that can be pickled, never None and never a tuple.
    seconds_left
        Asked before each wait: how long it is worth waiting for the next message.

    Raises
    ------
    TimeUpError
        If no time was left and the work was not done.
    WorkError
        If the work raised or died in its process.
    """
    apart: Callable[..., Generator[Message, None, None]] = _in_a_child if can_fork() else _in_a_thread
    yield from apart(work, seconds_left)


def can_fork() -> bool:
    """Whether work can run in a forked process here; the module's docstring says where it cannot, and why."""
    return hasattr(os, "fork") and sys.platform != "darwin"


def _in_a_child(work: Work[Message], seconds_left: Callable[[], float]) -> Generator[Message, None, None]:
    ours, theirs = Pipe()
    child = _fork(work, ours, theirs)
    died = False
    try:
        theirs.close()
        with stopped_by(lambda: _kill(child)):
            yield from _listen(ours, seconds_left)
    except (EOFError, ConnectionResetError):
        died = True
    finally:
        ours.close()
        status = _end(child)
    if died:
        raise WorkError(f"the solver's process died: {_epitaph(status)}")


def _fork(work: Work[Any], ours: Connection, theirs: Connection) -> int:
    with warnings.catch_warnings():
        # Newer Pythons warn of any fork beside threads; the module's docstring says what to mind.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        with suppress(ProcessLookupError, PermissionError):
            os.setpgid(child, child)  # the child does so too: whoever comes first
        return child
    _be_the_child(work, ours, theirs)


def _be_the_child(work: Work[Any], ours: Connection, theirs: Connection) -> NoReturn:  # pragma: no cover (the child)
    """Work, send every message, and leave without running anything that belongs to the parent's exit."""
    try:
        os.setpgid(0, 0)
        ours.close()
        threading.Thread(target=_follow_the_parent, args=(theirs,), daemon=True).start()
        for message in work():
            theirs.send(message)
        theirs.send(None)
    except BaseException as error:
        with suppress(OSError):
            theirs.send((f"{type(error).__name__}: {error}", traceback.format_exc(), _travelling(error)))
    finally:
        os._exit(0)


def _follow_the_parent(theirs: Connection) -> None:  # pragma: no cover (another process)
    """Wait for the parent's end to close, which it does when the parent dies; then end the group."""
    with suppress(EOFError, OSError):
        theirs.recv()
    os.killpg(0, signal.SIGKILL)


def _listen(ours: Connection, seconds_left: Callable[[], float]) -> Generator[Any, None, None]:
    """Take messages until the work is done or the time is up; raise EOFError if the child dies before."""
    while (left := seconds_left()) > 0:
        if not ours.poll(min(left, LONGEST_WAIT)):
            continue
        message = ours.recv()
        if message is None:
            return
        if isinstance(message, tuple):
            raise _failure(*message)
        yield message
    raise TimeUpError


def _travelling(error: BaseException) -> OSError | None:
    """An error of the system, which is raised in the parent as it is; None for others, and for what cannot be sent."""
    if not isinstance(error, OSError):
        return None
    try:
        pickle.loads(pickle.dumps(error))
    except (pickle.PicklingError, TypeError, AttributeError, LookupError, ValueError):
        return None
    return error


def _failure(message: str, trace: str, cause: OSError | None) -> WorkError:
    error = WorkError(f"the solver failed: {message}")
    error.add_note(f"In the solver's process:\n{trace}")
    error.__cause__ = cause
    return error


def _epitaph(status: int) -> str:
    """Tell how a process ended, from the status that the system gives."""
    code = os.waitstatus_to_exitcode(status)
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _end(child: int) -> int:
    """Kill the child's group, collect the child, so that no zombie stays, and return its status.

    A child that has ended by itself keeps its status, because the kill comes too late for it.
    """
    _kill(child)
    return os.waitpid(child, 0)[1]


def _kill(child: int) -> None:
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(child, signal.SIGKILL)


def _in_a_thread(work: Work[Message], seconds_left: Callable[[], float]) -> Generator[Message, None, None]:
    """Run the work in a thread: for systems without a fork. The module's docstring says what this cannot do."""
    told: queue.SimpleQueue[Message | BaseException | None] = queue.SimpleQueue()
    left_behind = threading.Event()

    def run() -> None:
        try:
            for message in work():
                told.put(message)
                if left_behind.is_set():
                    return
            told.put(None)
        except BaseException as error:
            told.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        with stopped_by(lambda: told.put(None)):
            while (left := seconds_left()) > 0:
                try:
                    message = told.get(timeout=min(left, LONGEST_WAIT))
                except queue.Empty:
                    continue
                if message is None:
                    return
                if isinstance(message, BaseException):
                    raise WorkError(f"the solver failed: {type(message).__name__}: {message}") from message
                yield message
            raise TimeUpError
    finally:
        left_behind.set()
