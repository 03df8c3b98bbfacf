"""Peak resident memory while a piece of code runs, read from the operating system; NaN if it is not available."""

import math
import sys
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
KB_PER_MB = 1e3


class Watch:
    """Records the present resident memory, and resets the peak."""

    def __init__(self) -> None:
        self.children = _children_mb()
        self.before = _resident_mb("VmRSS")
        if RESET.exists():
            RESET.write_text("5")

    def peak_mb(self) -> float:
        """Return the largest rise since the start in MB; a child process that has ended adds its own peak."""
        return max(self.resident_mb() - self.before, 0.0)

    def resident_mb(self) -> float:
        """Return the largest resident memory since the start in MB, mapped files and ended children included."""
        children = _children_mb()
        grown = children if children > self.children else 0.0
        return _resident_mb("VmHWM") + grown


def _resident_mb(field: str) -> float:
    if not STATUS.exists():
        return math.nan
    lines = STATUS.read_text().splitlines()
    return next(float(line.split()[1]) * 1.024 / KB_PER_MB for line in lines if line.startswith(f"{field}:"))


def _children_mb() -> float:
    """Return the peak of the largest child process that has ended, in MB."""
    if sys.platform == "win32":
        return math.nan
    import resource  # noqa: PLC0415  (Windows has none)

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1.024 / KB_PER_MB
