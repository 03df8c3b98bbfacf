"""Quantisation levels as columns: a client chooses an expert, and with how many bits it trains it.

After SFLAM (arXiv 2504.09114), with its formulas as reconstructed: a link carries b·log₂(1 + p·h/(N₀·b)) bits per
second with the bandwidth b, the power p and the gain h; an expert takes its bits over this rate, and its cycles over
the clock; the error of q bits grows as (2^q − 1)⁻². A column is a pair (expert, bits). A group allows one level of each
expert, and a set bounds an expert's holders over its levels. A budget of seconds chooses between few bits and many.
"""

import numpy as np

from alignsolve import AlignmentProblem
from alignsolve.numerics import FloatArray, IntArray
from problems.popular import popular_fitness

BITS = (4, 8, 16)
"""Levels of an expert, if there are enough columns for them."""
ERROR = 60.0
"""Fitness that is lost with an error of 1: 0.27 with 4 bits, and next to nothing with more."""
PARAMETERS = 0.5e6, 4e6
"""Smallest and largest number of parameters of an expert."""
BANDWIDTH, NOISE = 2e6, 4e-21
"""Hertz of a link, and watts per hertz of noise: thermal noise at room temperature."""
CYCLES_PER_PARAMETER = 400.0


def levels(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Experts at several levels of bits, under a budget of seconds for each client.

    This traps rules that fix one level for all: clients with a slow link can pay for an expert at few bits only, and
    those with a fast one lose fitness there. Every client can pay for its cheapest column.
    """
    bits = np.array(BITS[: min(len(BITS), num_experts)])
    expert = np.arange(num_experts) // len(bits)
    of_column = bits[np.arange(num_experts) % len(bits)]
    size = rng.uniform(*PARAMETERS, size=expert[-1] + 1)[expert]
    power, gain = rng.uniform(0.05, 0.5, size=num_clients), rng.lognormal(np.log(1e-12), 1.5, size=num_clients)
    clock = rng.uniform(0.5e9, 3e9, size=num_clients)
    seconds = np.multiply.outer(1.0 / rate(BANDWIDTH, power, gain), size * of_column)
    seconds += np.multiply.outer(1.0 / clock, size * CYCLES_PER_PARAMETER)
    fitness = popular_fitness(rng, num_clients, expert[-1] + 1)[:, expert] - ERROR * error(of_column)
    places = np.ceil(1.5 * num_clients / (expert[-1] + 1))
    members = expert[None, :] == np.arange(expert[-1] + 1)[:, None]
    return AlignmentProblem(
        fitness,
        client_capacity=np.minimum(2, expert[-1] + 1),
        expert_group=expert,
        group_capacity=1,
        expert_sets=members,
        set_capacity=np.full(len(members), places),
        client_budget=seconds.min(axis=1) * rng.uniform(1.0, 6.0, size=num_clients),
        expert_cost=seconds,
    )


def rate(bandwidth: float, power: FloatArray, gain: FloatArray) -> FloatArray:
    """Return the bits per second of each client's link, (num_clients,): b·log₂(1 + p·h/(N₀·b)).

    Examples
    --------
    >>> rate(1.0, np.array([3 * NOISE]), np.ones(1)).tolist()
    [2.0]
    """
    return bandwidth * np.log2(1.0 + power * gain / (NOISE * bandwidth))


def error(bits: IntArray) -> FloatArray:
    """Return the relative squared error of levels of these bits, (2^q − 1)⁻².

    Raises
    ------
    ValueError
        If a level has less than one bit.

    Examples
    --------
    >>> error(np.array([1, 2])).tolist()
    [1.0, 0.1111111111111111]
    """
    if (bits < 1).any():
        raise ValueError(f"a level has {int(bits.min())} bits; it must have 1 or more")
    relative: FloatArray = (2.0 ** bits.astype(np.float64) - 1.0) ** -2
    return relative
