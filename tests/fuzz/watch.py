"""Time limits on examples: an answer that takes too long is a fault, and code that never returns ends the process."""

import faulthandler
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

SECONDS = 60.0
"""An answer on a tiny problem that takes longer is a hang; the goal is milliseconds."""
AT_LAST = 240.0
"""Code that does not return to Python by then is ended, with a traceback, and the process with it."""


EVERY_ERROR = (Exception,)
"""A fuzzer wants to hear of every error that nobody documented."""
RANG: list[float] = []
"""When the time was over, since the last call began."""


class HangError(BaseException):
    """An answer takes too long. Not an Exception, so that nobody who is asked catches it."""


@contextmanager
def limited(seconds: float = SECONDS) -> Iterator[None]:
    """Raise :class:`HangError` in the block if it takes too long; only in the main thread, and not on Windows."""
    before = signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again each second: callbacks swallow what they raise
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _ring(*_: Any) -> None:
    RANG.append(time.monotonic())
    raise HangError


def in_time(call: Callable[[], T], seconds: float = SECONDS) -> T:
    """Call a function. If it takes too long, call it once more: the first call of a kind may be compiled.

    A compiler that was stopped may also end with an error of its own.
    """
    for last in (False, True):
        RANG.clear()
        try:
            with limited(seconds):
                return call()
        except HangError:
            if last:
                raise
        except EVERY_ERROR:
            if last or not RANG:
                raise
    raise AssertionError("the loop returns or raises")


class Note:
    """A file that says which example is under way, for the case that the process is ended."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def of(self, example: str) -> Iterator[None]:
        """Write what is under way, and watch it."""
        self.path.write_text(f"{time.strftime('%H:%M:%S')} {example}\n")
        faulthandler.dump_traceback_later(AT_LAST, exit=True, file=sys.__stderr__)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def peak_memory() -> int:
    """Bytes that the process has used at most, so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
