"""Small generalised assignment problems: of the classical families, and with fractional numbers."""

import numpy as np

from alignsolve import AlignmentProblem
from problems import FAMILIES


def make(name, num_clients, num_experts, seed=0):
    return FAMILIES[name](np.random.default_rng(seed), num_clients=num_clients, num_experts=num_experts)


def real(rng, num_clients=9, num_experts=3, scale=1.0, **more):
    """Return an instance with fractional numbers and binding capacities."""
    load = scale * rng.uniform(0.2, 1.0, (num_clients, num_experts))
    capacity = 1.1 * load.mean(axis=1).sum() / num_experts
    fitness = rng.normal(size=(num_clients, num_experts))
    given = {"client_demand": 1, "expert_capacity": capacity, "client_load": load, **more}
    return AlignmentProblem(fitness, **given)
