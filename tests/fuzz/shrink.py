"""Makes a failing problem smaller, greedily: whatever can go while it still fails goes, and numbers become plainer."""

import time
from collections.abc import Callable

from tests.fuzz.fields import Drawn

SECONDS = 40.0
"""Time for one fault."""


def shrunk(drawn: Drawn, fails: Callable[[Drawn], bool], *, seconds: float = SECONDS) -> Drawn:
    """Return the smallest problem found that still fails.

    Parameters
    ----------
    drawn
        A problem that fails.
    fails
        Whether another one does; one that is no problem at all does not.
    seconds
        Time limit.
    """
    until = time.monotonic() + seconds
    again = True
    while again:
        again = False
        for other in drawn.smaller():
            if time.monotonic() > until:
                return drawn
            if fails(other):
                drawn, again = other, True
                break
    return drawn


def same_kind(told: str, other: str | None) -> bool:
    """Whether two faults begin with the same words: a smaller problem may be wrong in another way."""
    return other is not None and told.split()[:3] == other.split()[:3]
