"""What it saves to align types of clients instead of all clients: ``python -m benchmarks.client_types``.

Both solve the same problem, one after the other, several times. The figures are the medians of CPU seconds and of
seconds; the making of the problems, and the dealing out of the experts to the clients, are not in them.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from alignsolve import AlignmentProblem, solve, solve_types
from alignsolve.numerics import IntArray


def main() -> None:
    """Solve both in turn, and print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=1_000_000)
    parser.add_argument("--types", type=int, default=500)
    parser.add_argument("--experts", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    problem, counts, full = make(arguments.seed, arguments.clients, arguments.types, arguments.experts)
    calls: tuple[Callable[[], Any], ...] = (lambda: solve_types(problem, counts), lambda: solve(full))
    by_type, one_by_one = (call() for call in calls)  # compiled and warm from here on
    seconds = np.array([[measured(call) for call in calls] for _ in range(arguments.repeats)])
    print(f"objective by type {by_type.objective!r} {by_type.status}, one by one {one_by_one.objective!r}")
    for k, name in enumerate(("CPU seconds", "seconds")):
        types, clients = np.median(seconds[:, :, k], axis=0)
        print(f"{name}: by type {types:.4f}, one by one {clients:.4f}, ratio {clients / types:.1f}")


def make(
    seed: int, num_clients: int, num_types: int, num_experts: int
) -> tuple[AlignmentProblem, IntArray, AlignmentProblem]:
    """Return a problem of types, the types' counts, and the problem of all clients."""
    rng = np.random.default_rng(seed)
    labels, fitness = rng.integers(0, num_types, num_clients), rng.random((num_types, num_experts))
    capacity = rng.integers(1, 4, num_types)
    share = capacity[labels].sum() / num_experts
    bounds: dict[str, Any] = {"expert_capacity": np.floor(1.1 * share), "expert_demand": np.floor(0.6 * share)}
    problem = AlignmentProblem(fitness, client_capacity=capacity, **bounds)
    full = AlignmentProblem(fitness[labels], client_capacity=capacity[labels], **bounds)
    counts: IntArray = np.bincount(labels, minlength=num_types).astype(np.int64)
    return problem, counts, full


def measured(call: Callable[[], Any]) -> tuple[float, float]:
    """Return the CPU seconds and the seconds of one call."""
    busy, began = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - busy, time.perf_counter() - began


if __name__ == "__main__":
    main()
