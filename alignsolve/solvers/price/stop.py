"""Why a round of ``price`` ended: what the solver decides its next round by."""

from enum import Enum


class Stop(Enum):
    """Why a round ended."""

    DONE = "nothing is left to move"
    DRIFTED = "prices left the window"
    STUCK = "no way to where load is lacking"
    LATE = "the deadline has passed"
