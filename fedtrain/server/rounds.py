"""The rounds of fedtrain's own loop, as a generator: sample a cohort, train simulated clients, merge, evaluate."""

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from alignsolve import Outcome
from alignsolve.numerics import IntArray
from fedtrain.config import functions
from fedtrain.results.history import Round, Row, load_variation
from fedtrain.server.federation import Federation, evaluate
from fedtrain.server.simulated_clients import Transport, fresh_masses, train_cohort
from fedtrain.server.step import ServerState, draw_cohort
from fedtrain.simulation.availability import opening, present
from fedtrain.simulation.timing import simulated_seconds

LOST = (Outcome.DROPPED, Outcome.REJECTED, Outcome.LATE, Outcome.OUT_OF_MEMORY)
"""Outcomes of a client's round without a merged update. Each of them has a column in rounds.csv."""


def run_rounds(
    federation: Federation, state: ServerState, transport: Transport = list
) -> Iterator[tuple[Round, ServerState]]:
    """Run the rest of the configured rounds, lazily: each ``next()`` runs one round.

    Parameters
    ----------
    federation
        The constant parts of the run.
    state
        The state to start from: :func:`fedtrain.server.initial_state`, or the state after an earlier round.
    transport
        The simulated network, which delivers the clients' replies.

    Yields
    ------
    tuple
        The round, and the state after it. The next round needs nothing but this state.

    Raises
    ------
    SolveError
        If a round's alignment could not be found.
    FunctionError
        If a function of the user's own, which the configuration names, raised an error.
    """
    own = functions.own_functions(federation.config)
    while state.round < federation.config.rounds:
        with functions.Naming(own, everywhere=False):
            done, state = run_round(federation, state, transport)
        yield done, state


def run_round(federation: Federation, state: ServerState, transport: Transport = list) -> tuple[Round, ServerState]:
    """Run one round. Except for wall-clock times, the result depends only on the arguments."""
    started = time.perf_counter()
    fleet, server = federation.fleet, federation.server
    # Sample a cohort, and align it.
    clock = opening(fleet, state.round, state.clock)
    cohort = sample_cohort(federation, state.round, clock)
    grown = replace(state, aligner=state.aligner.grow(fleet.num_joined(state.round)))
    masses = fresh_masses(federation, state.tensors, cohort) if federation.aligner.fresh_masses else None
    pending = server.begin(grown, cohort, masses)
    # Train the clients, and merge their updates.
    answers = train_cohort(federation, pending, clock, transport)
    caps = {client: len(federation.clients[client]) for client in pending.assigned}
    done = server.finish(pending, answers, caps)

    # Evaluate the new model, and write down the round.
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
    """Draw a round's clients from those present, without replacement. They are returned ascending.

    Parameters
    ----------
    federation
        The federation of the clients.
    number
        The round, counted from 0.
    clock
        Simulated seconds since the run began. At least one client must be present at this time
        (:func:`fedtrain.simulation.availability.opening`).
    """
    config = federation.config
    here = np.flatnonzero(present(federation.fleet, config.seed, number, clock))
    return draw_cohort(config.seed, number, here, round(config.clients.cohort_fraction * len(here)))
