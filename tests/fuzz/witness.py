"""Whether a witness of infeasibility adds up, from the exact choices of every client."""

from typing import Any

import numpy as np

from tests.fuzz.truth import Truth


def confirms(truth: Truth, witness: Any) -> bool:
    """Return whether a witness proves that there is no alignment."""
    if witness.side == "row":
        accused = np.flatnonzero(witness.clients)
        return len(accused) > 0 and all(not len(truth.rows[i].choices) for i in accused)
    if not all(len(row.choices) for row in truth.rows):
        return False
    inside = [row.load[:, witness.experts].sum(axis=1) for row in truth.rows]
    demanding = witness.side == "demand"
    sides = _sides(truth, witness, lower=demanding)
    if sides is None:
        return False
    added, taken = sides
    if demanding:  # what is wanted, against what there can be
        rooms = [sum(max(own) for own in inside), *_rooms(truth, witness)]
        return not truth.holds(added, min(rooms) + taken)
    return not truth.holds(sum(min(own) for own in inside) + taken, added)


def _sides(truth: Truth, witness: Any, *, lower: bool) -> tuple[int, int] | None:
    """Bounds that are counted, and bounds of the other kind that are taken away; None if one of them is not hard.

    The load of the witness's experts is a sum of loads of sets, and of single experts: each counts once, or is taken
    away where a set has an expert that is not meant.
    """
    of_sets = np.zeros(truth.drawn.num_sets, dtype=np.int64) if witness.sets is None else np.asarray(witness.sets)
    own = witness.experts.astype(np.int64) - of_sets @ truth.drawn.members.astype(np.int64)
    sums = [0, 0]
    for j, count in enumerate([*own.tolist(), *of_sets.tolist()]):
        if count == 0:
            continue
        bound = _hard(truth, j, lower=lower == (count > 0))
        if bound is None:
            return None
        sums[count < 0] += abs(count) * bound
    return sums[0], sums[1]


def _hard(truth: Truth, j: int, *, lower: bool) -> int | None:
    """The hard bound of an expert, or of a set; a load is never below 0."""
    if not lower:
        return truth.most(j)
    return truth.least(j) if truth.is_hard(1, j) else 0


def _rooms(truth: Truth, witness: Any) -> list[int]:
    """Loads that the experts cannot exceed: by their own capacities, those of sets around them, or of sets counted."""
    e, members = truth.drawn.shape[1], truth.drawn.members
    around = [e + int(s) for s in np.flatnonzero((members | ~witness.experts).all(axis=1))]
    counted = np.zeros(len(members), dtype=np.bool_) if witness.sets is None else np.asarray(witness.sets) > 0
    outside = witness.experts & ~members[counted].any(axis=0)
    parts = [[int(j) for j in np.flatnonzero(witness.experts)], *([s] for s in around),
             [*(e + int(s) for s in np.flatnonzero(counted)), *(int(j) for j in np.flatnonzero(outside))]]  # fmt: skip
    rooms = [[truth.most(j) for j in part] for part in parts]
    return [sum(room for room in part if room is not None) for part in rooms if None not in part]
