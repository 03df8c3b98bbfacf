"""Visibility windows: a client is reached only for a while, as a satellite is, or a phone that comes and goes.

A client can train an expert if its window outlasts the download, the training and the upload. Windows in satellite
networks are described in arXiv 2511.14889 and 2402.09105; links and devices are drawn like measured phones.
"""

import numpy as np

from alignsolve import Alignment, AlignmentProblem
from alignsolve.numerics import BoolArray, FloatArray
from problems.phones import draw_phones
from problems.planted import around_mean, loads
from problems.popular import popular_fitness

MEGABYTES = 4.0, 24.0
"""Smallest and largest size of an expert."""
TRAINING_SECONDS = 2.0, 20.0
"""Least and most seconds to train an expert on a typical phone."""
PERIOD = 40.0
"""Seconds in which a client is seen once; a window is a random share of it."""


def windows(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Clients with windows: the large experts, which few can finish in time, must have holders, too.

    This traps rules that choose by fitness first: the clients with long windows are the only ones for large experts,
    and their favourites are others. A client that can finish nothing in its window gets nothing; a window may be of
    length zero. The bounds of loads are those of a planted alignment.
    """
    phones = draw_phones(rng, num_clients)
    sizes = 1e6 * rng.uniform(*MEGABYTES, size=num_experts)
    seconds = np.multiply.outer(phones.seconds_per_byte, sizes)
    seconds += np.multiply.outer(phones.slowness, rng.uniform(*TRAINING_SECONDS, size=num_experts))
    in_time = fits(PERIOD * rng.random(num_clients) * (rng.random(num_clients) < 0.9), seconds)
    # Plant an alignment: one or two experts of each client that can finish some, by a draw.
    capacity = np.minimum(rng.integers(1, 3, size=num_clients), in_time.sum(axis=1))
    order = np.argsort(np.where(in_time, rng.random(in_time.shape), 2.0), axis=1)
    rank = np.argsort(order, axis=1)
    clients, experts = np.nonzero(rank < capacity[:, None])
    planted = Alignment.from_pairs(clients, experts, num_clients)
    demand, most = around_mean(loads(planted, num_experts))
    return AlignmentProblem(
        popular_fitness(rng, num_clients, num_experts),
        client_capacity=np.maximum(capacity, 1),
        client_demand=np.minimum(capacity, 1),
        expert_demand=demand,
        expert_capacity=most,
        eligible=in_time,
    )


def fits(lengths: FloatArray, seconds: FloatArray) -> BoolArray:
    """Return which experts each client finishes in its window, (num_clients, num_experts).

    Parameters
    ----------
    lengths
        (num_clients,) seconds of the window; 0: the client is not seen.
    seconds
        (num_clients, num_experts) seconds for download, training and upload.

    Examples
    --------
    >>> fits(np.array([0.0, 5.0]), np.array([[1.0, 9.0], [1.0, 9.0]])).tolist()
    [[False, False], [True, False]]
    """
    if not (np.isfinite(lengths) & (lengths >= 0.0)).all():
        raise ValueError("a window must have a length of 0 seconds or more, and it must be finite")
    return (lengths > 0.0)[:, None] & (seconds <= lengths[:, None])
