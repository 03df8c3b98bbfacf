"""Progress of parts that are solved apart: their objectives and bounds are added up."""

import threading
from collections.abc import Callable
from dataclasses import replace

from alignsolve.solver import Progress, ProgressHook


class JointProgress:
    """Adds up the latest reports of all parts, and passes the sum on."""

    def __init__(self, listener: ProgressHook | None, num_parts: int) -> None:
        self.listener = listener
        self.latest = [Progress("waiting", 0.0)] * num_parts
        self.lock = threading.Lock()

    def hooks(self) -> list[ProgressHook | None]:
        """A hook for each part; None for all if nobody listens."""
        return [None if self.listener is None else self._hook(k, self.listener) for k in range(len(self.latest))]

    def _hook(self, k: int, listener: ProgressHook) -> Callable[[Progress], None]:
        def report(progress: Progress) -> None:
            with self.lock:
                self.latest[k] = progress
                objective = sum(part.objective for part in self.latest)
                bound = sum(part.bound for part in self.latest)
                listener(replace(progress, objective=objective, bound=bound))

        return report
