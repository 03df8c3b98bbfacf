"""The distance filter of FedAA (arXiv 2402.05541).

The distance of a client is the sum of its distances to all others. The half with the smallest distances is averaged by
weight. Fewer than half of the clients may be bad, if they are far from the others. FedAA then learns weights for the
half that is kept, for which see :mod:`fedtrain.aggregate.learned`.

FedAA's clients hold whole models. Here an expert has so few holders that the bad ones are often more than half of them.
So the half is chosen by the shared part, which all clients hold, and only these clients' experts are merged. Of these,
an expert leaves out holders that are much further away than the others.
"""

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray
from fedtrain.aggregate.part import Part

TIE = 1e-9
"""Relative difference up to which two distances are the same."""
FAR = 2.0
"""A holder is left out of an expert if its distance is more than this multiple of the median."""


def distance_filtered(part: Part) -> FloatArray:
    """Return the holders' weights: 0 for those that are left out.

    Without a shared part, each expert keeps the half of its own holders. Of two holders none can be told to be bad, so
    both are kept. An expert of which no holder is kept stays as it is.
    """
    if part.expert is None or "kept" not in part.noted:
        kept = nearest_half(part.values())
        if part.expert is None:
            part.noted["kept"] = frozenset(np.array(part.clients)[kept].tolist())
        return np.where(kept, part.weights, 0.0)
    kept = np.isin(part.clients, list(part.noted["kept"]))
    if kept.any():
        own = distances(part.values()[kept])
        kept[kept] = own <= FAR * np.median(own) * (1.0 + TIE)
    return np.where(kept, part.weights, 0.0)


def nearest_half(values: FloatArray) -> BoolArray:
    """Return which rows are the half, rounded up, with the smallest sums of distances to all others.

    Rows whose distance ties with the last one that is kept are kept, too.

    Parameters
    ----------
    values
        (num_holders, num_parameters) float64; at least one row.

    Examples
    --------
    >>> nearest_half(np.array([[0.0], [1.0], [3.0], [7.0]]))
    array([False,  True,  True, False])
    """
    found = distances(values)
    last = np.sort(found)[(len(values) + 1) // 2 - 1]
    kept: BoolArray = found <= last * (1.0 + TIE)
    return kept


def distances(values: FloatArray) -> FloatArray:
    """Return the sum of each row's Euclidean distances to all rows, (num_holders,)."""
    return np.array([np.sqrt(np.square(values - row).sum(axis=1)).sum() for row in values])
