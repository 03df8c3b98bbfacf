"""Runs foreign code that would not notice a Ctrl-C, so that the prompt comes back at once.

Python raises KeyboardInterrupt only between steps of its own, in the main thread. A back end may compute for hours in
one step. So it runs in a thread, and the main thread waits.
"""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
POLL = 0.1
"""Seconds of one wait: on some systems a wait is not interrupted."""
PATIENCE = 1.0
"""Seconds that work which was asked to stop has to do so, before the prompt comes back without it."""


def interruptible(work: Callable[[], T], stop: Callable[[], object] | None) -> T:
    """Return what some work returns, or raise what it raises.

    Parameters
    ----------
    work
        Releases Python's lock while it computes. Outside the main thread it is simply called.
    stop
        Called if the main thread is interrupted: asks the work to end early. Python's own end waits for that. None:
        nobody can ask it.

    Raises
    ------
    KeyboardInterrupt
        At a Ctrl-C: at once if nobody can ask the work, else when it has ended or ``PATIENCE`` is over.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    ended: dict[str, Any] = {}

    def run() -> None:
        try:
            ended["value"] = work()
        except BaseException as error:
            ended["error"] = error
        finally:
            done.set()

    done = threading.Event()
    thread = threading.Thread(target=run, daemon=stop is None)
    thread.start()
    try:
        # ``Thread.join`` would take the thread for ended if it is interrupted (Python 3.11).
        while not done.wait(POLL):
            pass
    except BaseException:
        if stop is not None:
            stop()
            done.wait(PATIENCE)
        raise
    if "error" in ended:
        raise ended["error"]
    value: T = ended["value"]
    return value
