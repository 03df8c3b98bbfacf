"""The most even load that a cohort can bring about, whatever happened before.

A cohort in which f_k clients can take k experts or more may load the experts with t exactly if the k largest entries
of t sum to at most f_1 + … + f_k for every k, and all to f_1 + … + f_E (Gale and Ryser, 1957: row and column sums of
0/1 matrices). These t form a permutohedron: the hull of all orders of f. The most even total of past and new load is
the point of it nearest to −past, and that projection is one isotonic regression (Lim and Wright, 2016): sort −past,
subtract f, pool where the rest is out of order (pool adjacent violators), and subtract what was pooled.

Rounding t down and up gives integer bounds between which an alignment exists: the flow with row sums d and column
sums t is one in fractions, so there is one in integers.
"""

import numpy as np

from alignsolve.numerics import FloatArray, IntArray


def even_share(past: FloatArray, client_capacity: IntArray) -> FloatArray:
    """Load per expert of a round that fills every client and leaves the experts' total load as even as it can.

    Parameters
    ----------
    past
        (num_experts,) load so far, of which only the differences matter.
    client_capacity
        (num_clients,) experts that each client of the round can take.

    Returns
    -------
    FloatArray
        (num_experts,) shares, not negative, seldom whole, that sum to what the clients can take together.

    Examples
    --------
    >>> even_share(np.array([0.0, 2.0, 4.0]), np.array([2, 2, 2]))
    array([3. , 2.5, 0.5])
    """
    num_experts = len(past)
    counts = np.bincount(np.minimum(client_capacity, num_experts), minlength=num_experts + 1)
    supply = counts[::-1].cumsum()[::-1][1:].astype(np.float64)  # clients that can take 1, 2, … experts or more
    wanted = past.mean() - past
    order = np.argsort(-wanted, kind="stable")
    share = np.empty(num_experts)
    share[order] = wanted[order] - _descending_fit(wanted[order] - supply)
    return np.clip(share, 0.0, len(client_capacity))


def _descending_fit(values: FloatArray) -> FloatArray:
    """Return the descending sequence nearest to ``values`` in the sum of squares (pool adjacent violators)."""
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
