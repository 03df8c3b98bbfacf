"""The oracle's integer program: one binary per choice of each client, in arrays alone, for HiGHS through scipy."""

from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp


def best_choices(value: Any, load: Any, owner: Any, limit: Any) -> Any:
    """Return which choices are the best, (num_choices,) bools; None if there are none.

    Parameters
    ----------
    value
        (num_choices,) worth of every choice.
    load
        (num_choices, e) its loads on experts and sets.
    owner
        (num_choices,) the client that it is of, ascending.
    limit
        (e, 5) capacity, demand, penalties of overload and of shortfall, and optional demand.
    """
    capacity, demand, overload, shortfall, optional = limit.T
    e, unit = len(limit), np.maximum(load.max(axis=0), 1e-300)  # rows of the size of 1
    one_each = (owner == np.arange(owner.max(initial=-1) + 1)[:, None]).astype(float)
    hard = np.isinf(np.concatenate([overload, shortfall]))
    missed_cost = np.where(hard, 0.0, np.concatenate([overload * unit, shortfall * unit]))
    scale = 1e3 / max(1e-300, np.abs(value).max(initial=0.0), np.abs(missed_cost).max(initial=0.0))
    wide, none = load.T / unit[:, None], np.zeros((e, e))
    parts = [
        (np.hstack([one_each, np.zeros((len(one_each), 2 * e))]), 1, 1),
        (np.hstack([wide, -np.eye(e), none]), -np.inf, capacity / unit),
        (np.hstack([wide, none, np.eye(e)]), demand / unit, np.inf),
    ]
    opens = np.flatnonzero(optional > 0)
    if len(opens):
        parts = [(np.hstack([rows, np.zeros((len(rows), len(opens)))]), *sides) for rows, *sides in parts]
        some, missed = wide[opens], np.zeros((len(opens), 2 * e))
        parts += [
            (np.hstack([some, missed, -np.diag((optional / unit)[opens])]), 0, np.inf),
            (np.hstack([some, missed, -np.diag(some.sum(axis=1) + 1.0)]), -np.inf, 0),
        ]
    cost = np.concatenate([-value, missed_cost, np.zeros(len(opens))]) * scale
    whole = np.concatenate([np.ones(len(value)), np.zeros(2 * e), np.ones(len(opens))])
    most = np.concatenate([np.ones(len(value)), np.where(hard, 0.0, np.inf), np.ones(len(opens))])
    constraints = [LinearConstraint(*part) for part in parts]
    options = {"mip_rel_gap": 0.0, "presolve": False}  # which errs on parallel rows
    result = milp(cost, integrality=whole, bounds=Bounds(0, most), constraints=constraints, options=options)
    if result.status == 2:
        return None
    assert result.status == 0, result.message
    return result.x[: len(value)] > 0.5
