"""Whether a witness of infeasibility adds up, from the exact choices of every client."""

from typing import Any

import numpy as np

from tests.fuzz.truth import Truth


def confirms(truth: Truth, witness: Any) -> bool:
    """Return whether a witness proves that there is no alignment."""
    if witness.side == "row":
        accused = np.flatnonzero(witness.clients)
        return len(accused) > 0 and all(not len(truth.rows[i].sets) for i in accused)
    members = np.flatnonzero(witness.experts)
    if not len(members) or not all(len(row.sets) for row in truth.rows):
        return False
    inside = [row.load[:, members].sum(axis=1) for row in truth.rows]
    hard = all(truth.is_hard(0 if witness.side == "capacity" else 1, int(j)) for j in members)
    room = _room(truth, members)
    if witness.side == "capacity":
        forced = sum(min(own) for own in inside)
        return hard and room is not None and not truth.holds(forced, room)
    given = sum(max(own) for own in inside)
    given = given if room is None else min(given, room)
    wanted = sum(truth.least(int(j)) for j in members)
    return hard and not truth.holds(wanted, given)


def _room(truth: Truth, members: Any) -> int | None:
    """What the hard capacities of the experts admit together; None if there is no limit."""
    rooms = [truth.most(int(j)) for j in members]
    return None if None in rooms else sum(room for room in rooms if room is not None)
