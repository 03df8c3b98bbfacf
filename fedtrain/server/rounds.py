"""Rounds as a generator: sample a cohort, align it, let it train, merge what comes back, learn from it, evaluate."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from alignsolve import Outcome, Report, Solution
from fedtrain.aggregate import aggregate
from fedtrain.results.loads import variation
from fedtrain.results.row import Round, Row
from fedtrain.server.cohort import Transport, as_sent, train_cohort
from fedtrain.server.federation import Federation, ServerState, evaluate
from fedtrain.simulation.availability import opening, sample_cohort
from fedtrain.simulation.timing import simulated_seconds


def run_rounds(
    federation: Federation, state: ServerState, transport: Transport = as_sent
) -> Iterator[tuple[Round, ServerState]]:
    """Run what is left of the configured rounds, one each time that the next is asked for.

    Parameters
    ----------
    federation
        All that stays the same.
    state
        Where to start: :func:`fedtrain.server.federation.initial_state`, or what an earlier round left.
    transport
        What becomes of the clients' replies on their way.

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
        done, state = run_round(federation, state, transport)
        yield done, state


def run_round(federation: Federation, state: ServerState, transport: Transport = as_sent) -> tuple[Round, ServerState]:
    """Run one round; clocks on the wall apart, it depends on nothing but its arguments."""
    started = time.perf_counter()
    config, fleet = federation.config, federation.fleet
    clock = opening(fleet, state.round, state.clock)
    cohort = sample_cohort(federation, state.round, clock)
    known = state.aligner.grow(fleet.num_joined(state.round))
    solution, aligned = federation.aligner.align(known, cohort)
    align_seconds = time.perf_counter() - started

    returned = train_cohort(federation, state, cohort, solution, clock, transport)
    tensors = aggregate(state.tensors, returned.updates, config.aggregation)

    observing = time.perf_counter()
    observed = federation.aligner.observe(aligned, returned.reports)
    align_seconds += time.perf_counter() - observing

    accuracy, loss = evaluate(federation, tensors)
    seconds = simulated_seconds((report.seconds for report in returned.reports), config.clients.deadline)
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
        softened=observed.softened_rounds - state.aligner.softened_rounds,
        align_seconds=align_seconds,
        simulated_seconds=seconds,
        quarantined=len(returned.quarantined),
        clock=clock + seconds,
        **_totals(returned.reports),
    )
    after = ServerState(round=state.round + 1, tensors=tensors, aligner=observed, clock=clock + seconds)
    return Round(row, cohort, solution, returned.quarantined, returned.reports), after


def _totals(reports: Sequence[Report]) -> dict[str, Any]:
    """Add up what the cohort's clients report."""
    ended = Counter(report.outcome for report in reports)
    return {
        "bytes_down": sum(report.bytes_down for report in reports),
        "bytes_up": sum(report.bytes_up for report in reports),
        "dropped": ended[Outcome.DROPPED],
        "rejected": ended[Outcome.REJECTED],
        "late": ended[Outcome.LATE],
        "out_of_memory": ended[Outcome.OUT_OF_MEMORY],
    }


def load_cv(solution: Solution) -> float:
    """Coefficient of variation of the clients per expert that an alignment gives."""
    loads = solution.loads
    assert loads is not None  # align() raises if there is no alignment
    return variation(loads)
