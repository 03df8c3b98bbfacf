"""The cost of a round with the layers of a real model: ``align`` and ``observe`` under one budget of bytes per client.

The clients' routers change between the rounds, and each round starts from the prices of the last one.
"""

import statistics
import time
from typing import NamedTuple

import numpy as np

from alignsolve import Aligner, MemoryBudget, Report, RouterFitness, Solution
from alignsolve.numerics import FloatArray, IntArray

MODELS = {"Qwen3-30B-A3B": (100, 48, 128), "DeepSeek-V3": (20, 58, 256)}
"""Clients of a round, layers and experts per layer."""
EXPERT_BYTES, SHARED_BYTES = 19e6, 3e9
CHANGED = 0.1
"""Share of the fitness that changes between two rounds."""


class RoundCost(NamedTuple):
    """What one round cost: seconds of ``align``, of ``observe`` and of ``admit``, and the alignment."""

    align: float
    observe: float
    admit: float
    solution: Solution


def layered_rounds(num_clients: int, num_layers: int, experts: int, *, rounds: int) -> list[RoundCost]:
    """Align and observe some rounds.

    Parameters
    ----------
    num_clients
        Clients of every round. Each can pay for 2 to 8 experts per layer.
    num_layers, experts
        Number of layers, and of experts per layer.
    rounds
        Number of rounds.
    """
    rng, num_experts = np.random.default_rng(0), num_layers * experts
    memory = rng.integers(2, 9, num_clients) * num_layers * EXPERT_BYTES + SHARED_BYTES
    budget = MemoryBudget(memory, EXPERT_BYTES, SHARED_BYTES)
    aligner = Aligner(RouterFitness(beta=1.0), budget=budget, layers=(experts,) * num_layers)
    state, cohort = aligner.init(num_clients, num_experts), np.arange(num_clients)
    mass = rng.dirichlet(np.full(experts, 0.3), (num_clients, num_layers)).reshape(num_clients, num_experts)
    state = aligner.observe(state, _reports(mass, [np.zeros(0, dtype=np.int64)] * num_clients))
    costs = []
    for _ in range(rounds):
        started = time.perf_counter()
        solution, state = aligner.align(state, cohort)
        aligned = time.perf_counter()
        assert solution.assigned is not None  # align() raises if there is none
        changed = rng.random(mass.shape) < CHANGED
        mass[changed] = rng.random(int(changed.sum())) / experts
        reports = _reports(mass, np.split(solution.assigned.experts, solution.assigned.indptr[1:-1]))
        observing = time.perf_counter()
        state = aligner.observe(state, reports)
        observed = time.perf_counter()
        aligner.admit(state, 0)
        admitted = time.perf_counter()
        costs.append(RoundCost(aligned - started, observed - observing, admitted - observed, solution))
    return costs


def _reports(mass: FloatArray, held: list[IntArray]) -> list[Report]:
    """Return the report of each client with these router masses and experts."""
    ones = [np.ones(len(experts)) for experts in held]
    return [
        Report(client, experts, usage=one, loss=one, accuracy=one, num_examples=100, router_mass=mass[client])
        for client, (experts, one) in enumerate(zip(held, ones, strict=True))
    ]


def print_layered_rounds(rounds: int) -> None:
    """Print the medians of all rounds after the first, for each model, and the slowest round."""
    for model, (clients, layers, experts) in MODELS.items():
        _, *later = layered_rounds(clients, layers, experts, rounds=rounds + 1)
        align, observe, admit = (statistics.median(column) for column in list(zip(*later, strict=True))[:3])
        slowest = max(cost.align + cost.observe for cost in later)
        proofs = sorted({cost.solution.proof.value for cost in later})
        print(
            f"{clients} x ({layers} x {experts}), bytes, {model}: align {align:.3f} s, observe {observe:.3f} s, "
            f"together {align + observe:.3f} s a round, at most {slowest:.3f} s; admit {1e3 * admit:.2f} ms; "
            f"proof: {', '.join(proofs)}"
        )
