"""The cost of a round's alignment: ``Aligner.align`` of many clients, beside ``solve`` of the problem that it builds.

``python -m benchmarks.aligning`` alternates the two and prints medians of wall-clock and processor time. It does so
once before any report (random fitness within load bounds) and once with a learned fitness. Then it prints what a round
costs with the layers of real models (:mod:`.aligning_layers`).
"""

import dataclasses
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import numpy as np
import typer

from alignsolve import POLICIES, AlignerState, CapacityProfiler, NeededFitness, Parts, RouterFitness, solve
from alignsolve.numerics import FloatArray
from benchmarks.aligning_layers import print_layered_rounds

NUM_DOMAINS = 8


def race(
    clients: Annotated[int, typer.Option(min=1, help="Number of clients in the round.")] = 100_000,
    experts: Annotated[int, typer.Option(min=1, help="Number of experts.")] = 64,
    repeats: Annotated[int, typer.Option(min=1, help="Repeats, after one for warm-up.")] = 5,
    rounds: Annotated[int, typer.Option(min=0, help="Rounds with layers, after the first; 0: none.")] = 5,
) -> None:
    """Print the times of aligning and of solving alone, and those of rounds with layers."""
    rng = np.random.default_rng(0)
    capacity = CapacityProfiler(client_capacity=rng.integers(1, 5, clients))
    aligner = POLICIES["ours"](Parts(capacity, NeededFitness(RouterFitness())))
    state, cohort = aligner.init(clients, experts), np.arange(clients)
    states = {"nothing known": state, "fitness learned": _learned(state, _router_mass(rng, clients, experts))}
    for name, before in states.items():
        solution, after = aligner.align(before, cohort)
        contenders: dict[str, Callable[[], Any]] = {
            "align": partial(aligner.align, after, cohort),
            "solve": partial(solve, solution.problem),
        }
        times: dict[str, list[tuple[float, float]]] = {contender: [] for contender in contenders}
        for _ in range(repeats + 1):
            for contender, run in contenders.items():
                times[contender].append(_timed(run))
        for contender, measured in times.items():
            wall, processor = (statistics.median(column) for column in zip(*measured[1:], strict=True))
            print(f"{clients} x {experts}, {name}: {contender} {wall:.3f} s, {processor:.3f} s of processor time")
    if rounds:
        print_layered_rounds(rounds)


def _router_mass(rng: np.random.Generator, clients: int, experts: int) -> FloatArray:
    """Return router masses of clients: half of each is common to the client's domain, half is its own."""
    domains = rng.dirichlet(np.full(experts, 0.3), NUM_DOMAINS)[rng.integers(0, NUM_DOMAINS, clients)]
    return 0.5 * rng.dirichlet(np.full(experts, 0.3), clients) + 0.5 * domains


def _learned(state: AlignerState, mass: FloatArray) -> AlignerState:
    """Return the state as if the clients had reported these router masses and the switch for need were open."""
    need: Any = state.fitness
    known = dataclasses.replace(need, is_open=True, inner=dataclasses.replace(need.inner, value=mass))
    return dataclasses.replace(state, fitness=known)


def _timed(run: Callable[[], Any]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - processor


if __name__ == "__main__":
    typer.run(race)
