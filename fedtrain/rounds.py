"""Rounds as a generator: sample a cohort, align it, let it train, merge what comes back, learn from it, evaluate."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from alignsolve import Outcome, Report, Solution
from alignsolve.numerics import IntArray
from fedtrain.aggregate import aggregate
from fedtrain.cohort import train_cohort
from fedtrain.randomness import Purpose, generator
from fedtrain.row import Round, Row
from fedtrain.server import Federation, ServerState, evaluate


def run_rounds(federation: Federation, state: ServerState) -> Iterator[tuple[Round, ServerState]]:
    """Run what is left of the configured rounds, one each time that the next is asked for.

    Yields
    ------
    tuple
        What happened in the round, and the state after it: all that the next one starts from.

    Raises
    ------
    SolveError
        If a round's alignment could not be found.
    """
    while state.round < federation.config.rounds:
        done, state = run_round(federation, state)
        yield done, state


def run_round(federation: Federation, state: ServerState) -> tuple[Round, ServerState]:
    """Run one round; clocks apart, it depends on nothing but its arguments."""
    started = time.perf_counter()
    cohort = sample_cohort(federation, state.round)
    solution, aligned = federation.aligner.align(state.aligner, cohort)
    align_seconds = time.perf_counter() - started

    returned = train_cohort(federation, state, cohort, solution)
    tensors = aggregate(state.tensors, returned.updates)

    observing = time.perf_counter()
    observed = federation.aligner.observe(aligned, returned.reports)
    align_seconds += time.perf_counter() - observing

    accuracy, loss = evaluate(federation, tensors)
    row = Row(
        round=state.round + 1,
        accuracy=accuracy,
        loss=loss,
        status=solution.status.value,
        proof=solution.proof.value,
        gap=solution.gap,
        objective=float(solution.objective or 0.0),
        load_cv=load_cv(solution),
        solve_seconds=solution.runtime,
        round_seconds=time.perf_counter() - started,
        clients=len(cohort),
        rejected=len(returned.faults),
        softened=observed.softened_rounds - state.aligner.softened_rounds,
        align_seconds=align_seconds,
        **_totals(returned.reports),
    )
    after = ServerState(round=state.round + 1, tensors=tensors, aligner=observed)
    return Round(row, cohort, solution, returned.faults), after


def _totals(reports: Sequence[Report]) -> dict[str, Any]:
    """Add up what the cohort's clients report."""
    return {
        "bytes_down": sum(report.bytes_down for report in reports),
        "bytes_up": sum(report.bytes_up for report in reports),
        "dropped": sum(report.outcome is Outcome.DROPPED for report in reports),
        "simulated_seconds": max((report.seconds for report in reports), default=0.0),
    }


def sample_cohort(federation: Federation, number: int) -> IntArray:
    """Draw a round's clients without replacement, ascending; rounds are counted from 0."""
    config = federation.config
    size = max(1, round(config.clients.cohort_fraction * config.clients.num_clients))
    rng = generator(config.seed, Purpose.COHORT, number)
    return np.sort(rng.choice(config.clients.num_clients, size=size, replace=False))


def load_cv(solution: Solution) -> float:
    """Coefficient of variation of the clients per expert; 0 where nobody was aligned."""
    loads = solution.loads
    assert loads is not None  # align() raises if there is no alignment
    mean = loads.mean()
    return float(loads.std() / mean) if mean > 0.0 else 0.0
