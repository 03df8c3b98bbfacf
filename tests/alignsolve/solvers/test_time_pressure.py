"""The basis of time limits, counted rather than timed: work between checks of the clock, and saved passes."""

import itertools
import math
import time

import numpy as np
import pytest

from alignsolve import AlignmentProblem, Answer, solve
from alignsolve.data.alignment import Alignment
from alignsolve.runtime import interruptible
from alignsolve.solver import WarmStart
from alignsolve.solvers.greedy import Greedy, fill, mend, paths
from alignsolve.solvers.greedy.chains import load_units
from alignsolve.solvers.greedy.complete import complete_rows
from alignsolve.solvers.greedy.state import MOST, gather, to_alignment
from alignsolve.solvers.lagrangian import move_chains, multigrid
from alignsolve.solvers.lagrangian import solver as lagrangian
from alignsolve.solvers.lagrangian.multigrid import Prices
from alignsolve.solvers.lagrangian.multigrid_parameters import MultigridParameters
from alignsolve.solvers.lagrangian.perturbation import Perturbation
from alignsolve.solvers.lagrangian.solver import Lagrangian
from problems import FAMILIES


class Clock:
    """Replaces the module ``time``: each reading of the clock is one second after the last."""

    def __init__(self) -> None:
        self.looks, self.start = 0, time.monotonic()

    def monotonic(self) -> float:
        """Return the time, and advance it by a second."""
        self.looks += 1
        return self.start + self.looks


def made(name, num_clients, num_experts, seed=0):
    return FAMILIES[name](np.random.default_rng(seed), num_clients=num_clients, num_experts=num_experts)


def grouped(seed):
    """Return a problem with groups, demands, required pairs and soft bounds, in which every capacity binds."""
    rng = np.random.default_rng(seed)
    required = rng.random((40, 6)) < 0.05
    return AlignmentProblem(
        rng.normal(size=(40, 6)),
        client_capacity=rng.integers(3, 5, 40),
        client_demand=rng.integers(1, 3, 40),
        expert_capacity=18,
        expert_demand=[0, 16, 0, 0, 16, 0],
        overload_penalty=[np.inf, np.inf, 0.5, np.inf, np.inf, np.inf],
        eligible=required | (rng.random((40, 6)) < 0.9),
        required=required,
        expert_group=[0, 0, 0, 1, 1, 1],
        group_capacity=[2, 2],
        group_demand=rng.integers(0, 2, (40, 2)),
    )


def filled(problem):
    state = gather(problem)
    fill.fill_by_gain(state, fill.rank_clients(state))
    assert complete_rows(problem, state, math.inf)
    return state


def allowed(problem, row, i):
    """Return whether a row, (num_experts,), keeps the bounds of client i and of its groups."""
    within = problem.client_demand[i] <= row.sum() <= problem.client_capacity[i]
    sums = np.bincount(problem.expert_group, row, minlength=problem.num_groups)
    return within and (problem.group_demand[i] <= sums).all() and (sums <= problem.group_capacity[i]).all()


def exchanges(problem, x):
    """Yield every (from, to, client) move that the client's row allows; node num_experts stands for no expert."""
    ground = problem.num_experts
    for j in range(ground + 1):
        for k in range(ground + 1):
            for i in range(problem.num_clients):
                given = j == ground or (x[i, j] and not problem.required[i, j])
                taken = k == ground or (problem.eligible[i, k] and not x[i, k])
                row = x[i].astype(np.int64)
                row[[node for node in (j,) if node < ground]] -= 1
                row[[node for node in (k,) if node < ground]] += 1
                if j != k and given and taken and allowed(problem, row, i):
                    yield j, k, i


@pytest.mark.parametrize("seed", range(3))
def test_exchanges_counted_at_once_are_those_that_rows_allow_one_by_one(seed):
    problem = grouped(seed)
    state = filled(problem)
    arcs, x, ground = paths.count_arcs(state), to_alignment(state).to_dense(6), 6
    movers = {(j, k): [] for j in range(ground + 1) for k in range(ground + 1)}
    for j, k, i in exchanges(problem, x):
        movers[j, k].append(i)
    assert arcs.tolist() == [[len(movers[j, k]) for k in range(ground + 1)] for j in range(ground + 1)]
    for v, forward in itertools.product(range(ground), (True, False)):
        clients, others, worths = paths._single_moves(state, arcs, v, forward)
        told = list(zip(others.tolist(), clients.tolist(), strict=True))
        ends = {other: (v, other) if forward else (other, v) for other in range(ground + 1)}
        loads = state.loads
        able = [
            other
            for other in range(ground + 1)
            if other == ground
            or (loads[other] + 1 <= state.most[other] if forward else loads[other] - 1 >= state.least[other])
        ]
        assert told == [(other, i) for other in able if other != v for i in movers[ends[other]]]
        for (other, i), worth in zip(told, worths, strict=True):
            assert worth == pytest.approx(gain(problem, loads, i, *ends[other]), abs=1e-12)


def gain(problem, loads, i, j, k):
    """Return the gain of client i's move from node j to node k, penalties included."""
    value, after = 0.0, loads.copy()
    for node, sign in ((j, -1.0), (k, 1.0)):
        if node < problem.num_experts:
            value += sign * problem.fitness[i, node]
            after[node] += sign
    return value - problem.experts.penalty(after).sum() + problem.experts.penalty(loads).sum()


@pytest.mark.kernels
def test_the_spare_expert_is_the_one_that_many_places_later():
    rng = np.random.default_rng(4)
    for _ in range(50):
        gains = np.where(rng.random(9) < 0.3, -np.inf, rng.integers(0, 5, 9).astype(float))
        if np.isinf(gains).all():
            continue
        group = rng.integers(0, 2, 9)
        first = int(np.argmax(gains))
        for same in (False, True):
            able = [j for j in range(9) if gains[j] > -np.inf and (not same or group[j] == group[first])]
            able.sort(key=lambda j: (-gains[j], j))
            for places in range(1, 70, 3):
                expected = able[places] if places < len(able) else -1
                assert fill._ranked(gains, group, first, places, same) == expected


def test_nothing_is_listed_and_no_chain_made_after_the_deadline(monkeypatch):
    problem = made("weighted", 64, 4)
    perturbation = Perturbation(problem, np.zeros(4), np.random.default_rng(0), math.inf)
    clock, listed = Clock(), []
    monkeypatch.setattr(interruptible, "time", clock)
    monkeypatch.setattr(move_chains, "SCAN_ENTRIES", 8 * 4)
    monkeypatch.setattr(move_chains, "list_clients", lambda *args: listed.append((clock.looks, args[3:])))
    monkeypatch.setattr(move_chains, "chains", pytest.fail)
    touched = np.zeros(64, dtype=np.bool_)
    assert (
        move_chains.make_chains(perturbation.state, np.zeros(4), perturbation.unit, 1.0, touched, clock.start + 4.0)
        == 0
    )
    assert listed == [(1, (0, 8)), (2, (8, 16)), (3, (16, 24))]


def test_chains_through_all_clients_begin_only_where_there_is_time_or_no_alignment():
    problem = made("weighted", 16, 4)
    nobody = Alignment.from_pairs([], [], 16)
    found = Prices(np.zeros(4), np.zeros(4), pass_seconds=10.0)
    for seconds, alignment, begun in ((60.0, nobody, False), (600.0, nobody, True), (60.0, None, True)):
        deadline = time.monotonic() + seconds
        search = lagrangian._Search(Lagrangian(), problem, deadline, 0, 1, None)
        search.alignment = alignment
        assert search._worth_repairing(found) == begun


@pytest.mark.parametrize(("seconds", "looked"), [(50.0, False), (400.0, True)])
def test_the_curvature_leaves_time_for_the_passes_that_follow(monkeypatch, seconds, looked):
    """By this clock each evaluation of a sample takes a second: 16 of them, and three passes of up to four seconds."""
    problem = made("weighted", 1 << 13, 16)
    prices = np.zeros(16)
    search = multigrid._Search(problem, Prices(prices, prices), time.monotonic() + seconds, 1, 1e-6)
    monkeypatch.setattr(multigrid, "time", Clock())
    monkeypatch.setattr(multigrid, "curvature", lambda *_: np.eye(16))
    assert (search._curvature() is not None) == looked


def test_the_first_alignment_of_greed_is_waited_for_as_long_as_there_is_time(monkeypatch):
    answers = Greedy.answers

    def slowly(self, *args):
        time.sleep(0.3)
        yield from answers(self, *args)
        time.sleep(60.0)

    monkeypatch.setattr(Greedy, "answers", slowly)
    started = time.monotonic()
    search = lagrangian._Search(Lagrangian(), made("weighted", 30, 4), started + 60.0, 0, 1, None)
    assert search._greed(enough=started) is None
    assert search.alignment is not None
    assert time.monotonic() - started < 40.0


@pytest.mark.parametrize(("fewest", "each", "stride"), [(mend.FEWEST, 0.0, 1), (100, 0.0, 10), (100, 1e9, 1)])
def test_bulk_repair_looks_at_some_where_clients_are_many(monkeypatch, fewest, each, stride):
    looked = []
    state = gather(made("weighted", 1000, 4))
    monkeypatch.setattr(mend, "FEWEST", fewest)
    monkeypatch.setattr(mend, "ENOUGH", each)
    monkeypatch.setattr(mend, "mend", lambda *args: looked.append(args[3]))
    mend.mend_in_bulk(state, load_units(state), math.inf)
    assert looked[0] == stride


def test_exact_repair_stops_while_it_counts(monkeypatch):
    problem = grouped(0)
    state = filled(problem)
    assert paths.count_arcs(state, time.monotonic() - 1.0) is None
    state.experts[:, MOST] -= 3
    assert paths.repair_exactly(problem, state, time.monotonic() - 1.0) is None
    whole = paths.count_arcs(state)
    monkeypatch.setattr(paths, "LOOKS_AT_ONCE", 100)
    assert (paths.count_arcs(state) == whole).all()


@pytest.mark.parametrize("seed", range(3))
def test_loads_are_mended_in_bulk_first_where_counting_would_take_long(monkeypatch, seed):
    problem = grouped(seed)
    monkeypatch.setattr(paths, "LONG", 0)
    Greedy().prepare(problem)
    assert not problem.violations(solve(problem, Greedy()).assigned)


def test_greed_does_not_begin_what_will_not_end_in_time():
    problem = made("uniform", 400, 64)
    answers = Greedy().answers(problem, time.monotonic() + 1e-4, WarmStart())
    assert all(answer.x is None for answer in answers if isinstance(answer, Answer))
    state = gather(problem)
    order = fill.rank_clients(state)
    assert (np.diff(np.take_along_axis(problem.fitness.T, order, axis=1), axis=1) <= 0).all()
    assert fill.rank_clients(state, deadline=time.monotonic() - 1.0).shape == order.shape


@pytest.mark.parametrize(("passes_left", "looked_at"), [(4.5, 0), (20.0, 1)])
def test_all_clients_are_looked_at_only_where_dealing_to_them_will_still_be_in_time(
    monkeypatch, passes_left, looked_at
):
    problem = made("budgets", 2000, 24)
    few = MultigridParameters(sample_entries=1 << 12)  # too many clients to be their own sample
    monkeypatch.setattr(multigrid._Search, "_timed", lambda search, sample: (1e-6, 100.0))
    found = [
        found.passes
        for found in itertools.islice(
            multigrid.prices_by_multigrid(
                problem, None, gap=0.0, deadline=time.monotonic() + 100.0 * passes_left, threads=1, parameters=few
            ),
            1,
        )
    ]
    assert found == [looked_at]
