"""Clients in clusters: fitness of low rank, as with many clients but only a few data distributions."""

import numpy as np

from alignsolve import AlignmentProblem
from problems.planted import balanced


def clustered(
    rng: np.random.Generator, *, num_clients: int, num_experts: int, num_clusters: int = 8, rank: int = 4
) -> AlignmentProblem:
    """Inner products of client and expert embeddings; a client's embedding lies close to the centre of its cluster."""
    centres = rng.normal(size=(num_clusters, rank))
    clients = rng.normal(scale=0.1, size=(num_clients, rank))
    clients += centres[rng.integers(num_clusters, size=num_clients)]
    experts = rng.normal(size=(num_experts, rank))
    return balanced(rng, clients @ experts.T)
