"""The rounds of fedtrain's own loop, as a generator: sample a cohort, let simulated clients answer, evaluate."""

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from alignsolve import Outcome
from alignsolve.numerics import IntArray
from fedtrain.results.history import Round, Row, load_variation
from fedtrain.server.federation import Federation, evaluate
from fedtrain.server.simulated_clients import Transport, train_cohort
from fedtrain.server.step import ServerState, draw_cohort
from fedtrain.simulation.availability import opening, present
from fedtrain.simulation.timing import simulated_seconds

LOST = (Outcome.DROPPED, Outcome.REJECTED, Outcome.LATE, Outcome.OUT_OF_MEMORY)
"""Ends of a client's round without a merged update; each has a column of rounds.csv."""


def run_rounds(
    federation: Federation, state: ServerState, transport: Transport = list
) -> Iterator[tuple[Round, ServerState]]:
    """Run what is left of the configured rounds, one each time that the next is asked for.

    Parameters
    ----------
    federation
        All that stays the same.
    state
        Where to start: :func:`fedtrain.server.initial_state`, or what an earlier round left.
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


def run_round(federation: Federation, state: ServerState, transport: Transport = list) -> tuple[Round, ServerState]:
    """Run one round; clocks on the wall apart, it depends on nothing but its arguments."""
    started = time.perf_counter()
    fleet, server = federation.fleet, federation.server
    clock = opening(fleet, state.round, state.clock)
    cohort = sample_cohort(federation, state.round, clock)
    grown = replace(state, aligner=state.aligner.grow(fleet.num_joined(state.round)))
    pending = server.begin(grown, cohort)
    answers = train_cohort(federation, pending, clock, transport)
    caps = {client: len(federation.clients[client]) for client in pending.assigned}
    done = server.finish(pending, answers, caps)

    reports, solution = done.inspected.reports, pending.solution
    accuracy, loss = evaluate(federation, done.state.tensors)
    seconds = simulated_seconds((report.seconds for report in reports), federation.config.clients.deadline)
    after = replace(done.state, clock=clock + seconds)
    quarantined = list(done.inspected.faults.items())
    row = Row(
        round=after.round,
        accuracy=accuracy,
        loss=loss,
        status=solution.status.value,
        proof=solution.proof.value,
        gap=solution.gap,
        objective=float(solution.objective or 0.0),
        load_cv=load_variation(solution),
        bytes_down=done.total("bytes_down"),
        bytes_up=done.total("bytes_up"),
        solve_seconds=solution.runtime,
        round_seconds=time.perf_counter() - started,
        clients=len(cohort),
        softened=after.aligner.softened_rounds - state.aligner.softened_rounds,
        align_seconds=done.align_seconds,
        simulated_seconds=seconds,
        quarantined=len(quarantined),
        clock=after.clock,
        **{ended.name.lower(): done.count(ended) for ended in LOST},
    )
    return Round(row, cohort, solution, quarantined, reports), after


def sample_cohort(federation: Federation, number: int, clock: float = 0.0) -> IntArray:
    """Draw a round's clients among those present without replacement, ascending.

    Parameters
    ----------
    federation
        Whose clients.
    number
        Of the round, counted from 0.
    clock
        Simulated seconds since the run began, at which somebody is there
        (:func:`fedtrain.simulation.availability.opening`).
    """
    config = federation.config
    here = np.flatnonzero(present(federation.fleet, config.seed, number, clock))
    return draw_cohort(config.seed, number, here, round(config.clients.cohort_fraction * len(here)))
