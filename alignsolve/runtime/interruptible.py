"""Computes where a Ctrl-C cannot hit it, so that the prompt comes back at once and nothing crashes.

Python raises KeyboardInterrupt in the main thread, between steps of its own. A back end or compiled code may compute
for minutes in one step. And where compiled code calls Python for a moment, as numba does to make an array, an interrupt
there ends the process by a crash. So the work runs in a thread of its own, and the main thread waits. At a Ctrl-C the
work is asked to stop, as if its time were over.
"""

import atexit
import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
POLL = 0.1
"""Seconds of one wait: on some systems a wait is not interrupted."""
PATIENCE = 1.0
"""Seconds that work which was asked to stop has to do so, before the prompt comes back without it."""


class _Run:
    """Work that the main thread waits for: whether it was asked to stop, and how foreign code is asked."""

    def __init__(self) -> None:
        self.stopped = False
        self.stops: list[Callable[[], object]] = []
        self.lock = threading.Lock()

    def stop(self) -> None:
        with self.lock:
            self.stopped = True
            for stop in self.stops:
                stop()


_run: contextvars.ContextVar[_Run | None] = contextvars.ContextVar("alignsolve_run", default=None)


def interruptible(work: Callable[[], T]) -> T:
    """Return what some work returns, or raise what it raises; in a thread of its own if this is the main thread.

    Work that was asked to stop and does not within ``PATIENCE`` is left behind: it ends when it next looks at the clock
    (:func:`late`), and no later than the process.

    Raises
    ------
    KeyboardInterrupt
        At a Ctrl-C, once the work has ended or ``PATIENCE`` is over.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    run, context, done = _Run(), contextvars.copy_context(), threading.Event()
    ended: dict[str, Any] = {}

    def in_thread() -> None:
        try:
            context.run(_run.set, run)
            ended["value"] = context.run(work)
        except BaseException as error:
            ended["error"] = error
        finally:
            done.set()

    thread = threading.Thread(target=in_thread, name="alignsolve", daemon=True)
    try:
        thread.start()
        # ``Thread.join`` would take the thread for ended if it is interrupted (Python 3.11).
        while not done.wait(POLL):
            pass
    except BaseException:
        run.stop()
        if not done.wait(PATIENCE) and run.stops:
            # Foreign code keeps threads and memory of its own: a process that ends before it is aborted.
            atexit.register(thread.join)
        raise
    if "error" in ended:
        raise ended.pop("error")
    value: T = ended["value"]
    return value


@contextmanager
def stopped_by(stop: Callable[[], object]) -> Iterator[None]:
    """While foreign code runs in this block: how to ask it to end early, from another thread.

    Raises
    ------
    KeyboardInterrupt
        If it was asked to.
    """
    run = _run.get()
    if run is None:
        yield
        return
    with run.lock:
        if run.stopped:
            raise KeyboardInterrupt
        run.stops.append(stop)
    try:
        yield
    finally:
        with run.lock:
            run.stops.remove(stop)
    if run.stopped:
        raise KeyboardInterrupt


def late(deadline: float) -> bool:
    """Whether a deadline, on the clock of :func:`time.monotonic`, is over, or the work was asked to stop."""
    run = _run.get()
    return time.monotonic() >= deadline or (run is not None and run.stopped)
