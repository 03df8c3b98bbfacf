"""The load per expert with which a cohort makes the total of past and new load as even as possible.

Let f_k be the number of clients that can take at least k experts. The cohort can supply the loads t if and only if, for
every k, the k largest entries of t sum to at most f_1 + … + f_k, and all entries sum to f_1 + … + f_E (Gale and Ryser,
1957, on row and column sums of 0/1 matrices). These t form a permutohedron, the convex hull of all permutations of f.
The most even total is reached at its point nearest to −past. This projection is one isotonic regression (Lim and
Wright, 2016): sort −past, subtract f, fit a descending sequence by pooling adjacent violators, and subtract the fit.

Rounding t down and up gives integer bounds. An alignment within them exists: the flow with the clients' capacities as
row sums and t as column sums is feasible in fractions, hence also in integers.
"""

import numpy as np

from alignsolve.numerics import FloatArray, IntArray


def even_share(past: FloatArray, client_capacity: IntArray) -> FloatArray:
    """Return the load per expert with which a round that fills all clients makes the total load as even as possible.

    Parameters
    ----------
    past
        (num_experts,) load so far; only the differences matter.
    client_capacity
        (num_clients,) number of experts that each client of the round can take.

    Returns
    -------
    FloatArray
        (num_experts,) shares: not negative, usually not whole. They sum to the clients' total capacity.

    Examples
    --------
    >>> even_share(np.array([0.0, 2.0, 4.0]), np.array([2, 2, 2]))
    array([3. , 2.5, 0.5])
    """
    num_experts = len(past)
    counts = np.bincount(np.minimum(client_capacity, num_experts), minlength=num_experts + 1)
    supply = (
        counts[::-1].cumsum()[::-1][1:].astype(np.float64)
    )  # number of clients that can take at least 1, 2, … experts
    wanted = past.mean() - past
    order = np.argsort(-wanted, kind="stable")
    share = np.empty(num_experts)
    share[order] = wanted[order] - _descending_fit(wanted[order] - supply)
    return np.clip(share, 0.0, len(client_capacity))


def _descending_fit(values: FloatArray) -> FloatArray:
    """Return the descending sequence nearest to ``values`` in least squares, by pooling adjacent violators."""
    means: list[float] = []
    sizes: list[int] = []
    for value in values.tolist():
        mean, size = value, 1
        while means and means[-1] <= mean:
            mean = (mean * size + means[-1] * sizes[-1]) / (size + sizes[-1])
            size += sizes.pop()
            means.pop()
        means.append(mean)
        sizes.append(size)
    return np.repeat(np.array(means), sizes)
