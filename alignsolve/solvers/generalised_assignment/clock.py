"""The time of one search: when it started and when it has to end."""

import math
import time
from dataclasses import dataclass

from alignsolve.runtime.interruptible import late


@dataclass(frozen=True)
class Clock:
    """Start and end of a search, on the clock of :func:`time.monotonic`.

    Attributes
    ----------
    started
        When it started.
    deadline
        When it has to end, inf without a time limit. Some of the time limit is kept for what comes after the search.
    """

    started: float
    deadline: float

    @classmethod
    def start(cls, deadline: float, reserve: float) -> "Clock":
        """Start the clock now; keep the smaller of ``reserve`` seconds and that share of the time left."""
        now = time.monotonic()
        left = max(deadline - now, 0.0)
        return cls(now, deadline - reserve * min(left, 1.0) if math.isfinite(deadline) else deadline)

    @property
    def limited(self) -> bool:
        """Whether there is a time limit."""
        return math.isfinite(self.deadline)

    @property
    def seconds(self) -> float:
        """The whole time of the search."""
        return self.deadline - self.started

    @property
    def left(self) -> float:
        """Seconds from now to the deadline."""
        return self.deadline - time.monotonic()

    @property
    def is_up(self) -> bool:
        """Whether the deadline has passed."""
        return late(self.deadline)
