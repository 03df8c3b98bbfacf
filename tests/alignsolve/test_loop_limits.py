"""The aligner with coverage against dropouts, learned capacities, time budgets, caches, and several layers."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignsolve import (
    Aligner,
    AlignmentProblem,
    CapacityProfiler,
    CoverageLoad,
    LoadMonitor,
    LossFitness,
    MemoryLearner,
    Outcome,
    RandomFitness,
    Report,
    RouterFitness,
    Status,
    SwitchingCost,
    TimeBudget,
    join_layers,
    solve,
)
from alignsolve.estimate import Budgets
from alignsolve.estimate.limits import client_limits
from tests.rounds import play, reports_of, variation


def completed(client, experts, **changes):
    size = len(experts)
    measures = {"usage": np.ones(size), "loss": np.ones(size), "accuracy": np.full(size, 0.5)}
    return Report(client, experts, **(measures | changes))


# Load


@pytest.mark.parametrize(("measure", "load"), [("assignments", [2, 1]), ("usage", [0.9, 1.1]), ("examples", [9, 31])])
def test_load_is_counted_in_the_chosen_measure(measure, load):
    told = [completed(0, [0, 1], usage=[8.0, 2.0], num_examples=10), completed(1, [1], num_examples=30)]
    told[1:] = [completed(1, [0, 1], usage=[0.1, 0.9], num_examples=10), completed(2, [1], num_examples=20)]
    told = told[:2] if measure != "examples" else told
    if measure == "assignments":
        told = [told[0], completed(1, [0])]
    monitor = LoadMonitor(measure=measure)
    state = monitor.update(monitor.init(3, 2), told)
    np.testing.assert_allclose(state.load, load)


@pytest.mark.parametrize("measure", ["usage", "examples"])
def test_an_expert_that_is_used_less_gets_more_holders(measure):
    monitor = LoadMonitor(tolerance=0.0, measure=measure)
    told = [completed(i, [0, 1], usage=[0.75, 0.25], num_examples=8) for i in range(4)]
    state = monitor.update(monitor.init(8, 2), told)
    bounds = monitor.bounds(state, np.ones(8, dtype=int), np.zeros((8, 2)))
    # 8 assignments carried 4 clients' usage: one weighs half, and expert 0 is 2 ahead, or 4 assignments.
    assert bounds.demand.tolist() == bounds.capacity.tolist() == [2.0, 6.0]


def test_coverage_learns_the_dropout_rate_and_asks_for_holders_that_survive_it():
    coverage = CoverageLoad(monitor=LoadMonitor(tolerance=np.inf), risk=0.05, prior_reports=1.0, memory=1.0)
    state = coverage.init(20, 2)
    for _ in range(50):
        told = [completed(i, [0]) if i >= 6 else Report(i, [0], outcome="dropped") for i in range(20)]
        state = coverage.update(state, told)
    assert coverage.rate(state) == pytest.approx(0.3, abs=0.002)
    assert coverage.holders(state) == 3.0  # 0.3² = 9 %, 0.3³ = 2.7 %
    bounds = coverage.bounds(state, np.ones(20, dtype=int), np.zeros((20, 2)))
    assert bounds.demand.tolist() == [3.0, 3.0]
    assert np.isinf(bounds.capacity).all()


def test_without_failures_one_holder_suffices_and_where_all_fail_none_do():
    never, always = CoverageLoad(prior_rate=0.0), CoverageLoad(prior_rate=1.0)
    assert never.holders(never.init(2, 2)) == 1.0
    bounds = always.bounds(always.init(6, 2), np.ones(6, dtype=int), np.zeros((6, 2)))
    assert bounds.demand.tolist() == [3.0, 3.0]
    assert bounds.clipped


def supply(capacity, num_experts, size):
    return int(np.minimum(capacity, min(size, num_experts)).sum())


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=8),
    st.lists(st.integers(0, 20), min_size=1, max_size=5),
    st.floats(0, 1),
    st.sampled_from([0.0, 0.1, np.inf]),
)
def test_covered_demands_can_be_met_together(capacity, past, rate, tolerance):
    """Gale and Ryser: no set of experts demands more than the clients can supply to a set of its size."""
    coverage = CoverageLoad(monitor=LoadMonitor(tolerance=tolerance), prior_rate=rate)
    told = [completed(i, [j]) for i, j in enumerate(np.repeat(np.arange(len(past)), past))]
    state = coverage.update(coverage.init(len(told) + 1, len(past)), told)
    bounds = coverage.bounds(state, np.array(capacity), np.zeros((len(capacity), len(past))))
    assert (bounds.demand <= bounds.capacity).all()
    for size in range(1, len(past) + 1):
        for members in itertools.combinations(range(len(past)), size):
            assert bounds.demand[list(members)].sum() <= supply(np.array(capacity), len(past), size)


def test_coverage_leaves_fewer_experts_without_an_update():
    lost = {}
    sure = {"prior_rate": 0.4, "prior_reports": 1000.0}  # of the rate at which clients are lost below
    for load in (LoadMonitor(tolerance=np.inf), CoverageLoad(LoadMonitor(tolerance=np.inf), **sure)):
        aligner = Aligner(RouterFitness(), load, CapacityProfiler(client_capacity=1))
        favourite = np.array([0.5, 0.3, 0.1, 0.1])
        known = [completed(i, [0], router_mass=favourite) for i in range(20)]
        state = aligner.observe(aligner.init(20, 4), known)
        rng, missing = np.random.default_rng(5), 0
        for _ in range(10):
            solution, state = aligner.align(state, np.arange(20))
            kept = rng.random(20) >= 0.4
            missing += 4 - len(np.unique(solution.x.argmax(axis=1)[kept]))
        lost[type(load).__name__] = missing
    assert lost["CoverageLoad"] < 0.2 * lost["LoadMonitor"]


# Memory


def test_a_client_without_memory_for_one_expert_is_tried_again():
    learner = MemoryLearner(CapacityProfiler(client_capacity=2), patience=3)
    state = learner.update(learner.init(1, 4), [Report(0, [0], outcome="out of memory")])
    given = []
    for _ in range(4):
        given.append(int(learner.capacity(state, np.arange(1))[0][0]))
        state = learner.update(state, [])
    assert given == [0, 0, 0, 1]


def test_a_client_that_runs_out_of_memory_settles_at_what_fits():
    fits, learner = np.array([5, 2, 0]), MemoryLearner(CapacityProfiler(client_capacity=5), patience=None)
    state, given = learner.init(3, 8), []
    for _ in range(8):
        capacity, _ = learner.capacity(state, np.arange(3))
        given.append(capacity.tolist())
        told = [
            completed(i, np.arange(size)) if size <= most else Report(i, np.arange(size), outcome="out of memory")
            for i, (size, most) in enumerate(zip(capacity, fits, strict=True))
        ]
        state = learner.update(state, told)
    assert given[0] == [5, 5, 5]
    assert given[-1] == fits.tolist()
    assert learner.misreporting(state).tolist() == [1, 2]
    assert learner.capacity(state, np.array([2]))[1].tolist() == [0]


def test_patience_gives_a_client_another_chance_but_not_more_than_declared():
    learner = MemoryLearner(CapacityProfiler(client_capacity=3), patience=2)
    state = learner.update(learner.init(1, 4), [Report(0, [0, 1], outcome="out of memory")])
    sizes = []
    for _ in range(8):
        size = int(learner.capacity(state, np.array([0]))[0][0])
        sizes.append(size)
        state = learner.update(state, [completed(0, np.arange(size))])
    assert sizes == [1, 1, 2, 2, 3, 3, 3, 3]


# Deadlines


def test_equal_costs_become_capacities_and_the_alignment_stays_a_proven_flow():
    budget = TimeBudget(deadline=10.0, expert_seconds=[1.0, 3.0, 4.0, 11.0], fixed_seconds=1.0)
    aligner = Aligner(capacity=CapacityProfiler(client_capacity=6), budget=budget)
    solution, state = aligner.align(aligner.init(4, 6), np.arange(4))
    assert solution.x.sum(axis=1).tolist() == [6, 3, 2, 0]
    assert solution.problem.client_budget is None
    assert solution.status is Status.OPTIMAL
    assert state.softened_rounds == 0


def test_experts_of_different_work_are_paid_from_the_budget():
    budget = TimeBudget(deadline=6.0, expert_seconds=1.0, expert_work=[5.0, 3.0, 3.0, 9.0])
    load = LoadMonitor(tolerance=np.inf)
    aligner = Aligner(LossFitness(), load, CapacityProfiler(client_capacity=4), budget=budget)
    solution, _ = aligner.align(aligner.init(2, 4), [0, 1])
    assert solution.x.astype(int).tolist() == [[0, 1, 1, 0]] * 2


@given(st.integers(1, 6), st.floats(0.5, 4.0), st.floats(0.0, 3.0), st.integers(0, 50))
def test_speeds_are_learned_from_durations(num_rounds, per_expert, fixed, seed):
    rng = np.random.default_rng(seed)
    budget = TimeBudget(deadline=100.0, expert_seconds=1.0, prior_rounds=1e-6, memory=1.0)
    state = budget.init(1, 8)
    for size in [1, 8, *rng.integers(1, 9, num_rounds)]:
        told = completed(0, rng.permutation(8)[:size], seconds=fixed + per_expert * size)
        state = budget.update(state, [told])
    seconds, cost = budget.budgets(state, np.array([0]))
    assert cost[0, 0] == pytest.approx(per_expert, rel=1e-3, abs=1e-3)
    assert seconds[0] == pytest.approx(100.0 - fixed, rel=1e-3)


def test_bytes_are_told_from_work_where_both_vary():
    """A client that already holds its experts downloads nothing; the difference is the price of a byte."""
    rng = np.random.default_rng(0)
    budget = TimeBudget(
        deadline=100.0, expert_seconds=1.0, bytes_per_second=1e6, expert_bytes=1e6, prior_rounds=1e-6, memory=1.0
    )
    state = budget.init(1, 8)
    for _ in range(30):
        size, traffic = int(rng.integers(1, 9)), int(rng.integers(1, 9)) * 1_000_000
        told = completed(0, np.arange(size), seconds=2.0 * size + traffic / 2e5, bytes_down=traffic)
        state = budget.update(state, [told])
    assert budget.budgets(state, np.array([0])).cost[0, 0] == pytest.approx(2.0 + 5.0, rel=1e-3)


def test_who_is_late_is_at_least_that_slow_and_who_vanished_teaches_nothing():
    budget = TimeBudget(deadline=5.0, expert_seconds=1.0)
    state = budget.init(3, 4)
    told = [
        Report(0, [0, 1], seconds=9.0, outcome=Outcome.LATE),
        Report(1, [0, 1], seconds=1.0, outcome=Outcome.LATE),
        Report(2, [0, 1], seconds=9.0, outcome=Outcome.DROPPED),
    ]
    cost = budget.budgets(budget.update(state, told), np.arange(3)).cost[:, 0]
    assert cost[0] > 2.0
    assert cost[1:].tolist() == [1.0, 1.0]


def test_a_deadline_is_kept_once_a_client_that_boasts_was_measured():
    """The client declares 1 s per expert and takes 3 s: after a few rounds it gets what it can train in time."""
    truth = np.array([1.0, 3.0])
    budget = TimeBudget(deadline=6.5, expert_seconds=1.0)
    aligner = Aligner(capacity=CapacityProfiler(client_capacity=8), budget=budget)
    state, late = aligner.init(2, 8), []
    for _ in range(12):
        solution, state = aligner.align(state, [0, 1])
        held = [np.flatnonzero(row) for row in solution.x]
        seconds = [truth[i] * len(experts) for i, experts in enumerate(held)]
        late.append([s > 6.5 for s in seconds])
        state = aligner.observe(state, [
            completed(i, held[i], seconds=seconds[i]) if seconds[i] <= 6.5
            else Report(i, held[i], seconds=seconds[i], outcome=Outcome.LATE) for i in range(2)
        ])  # fmt: skip
    assert late[0] == [False, True]
    assert not np.array(late[6:]).any()
    assert budget.misreporting(state.budget).tolist() == [1]
    assert len(held[0]) == 6
    assert len(held[1]) == 2


# Caches


def test_experts_that_a_client_holds_are_preferred_as_far_as_the_price_goes():
    mass = [0.34, 0.33, 0.33]
    for price, kept in ((0.0, 0), (1e-6, 2)):
        aligner = Aligner(
            RouterFitness(scaling="none"), LoadMonitor(tolerance=np.inf), switching=SwitchingCost(1e6, price)
        )
        state = aligner.observe(aligner.init(1, 3), [completed(0, [2], router_mass=mass)])
        solution, _ = aligner.align(state, [0])
        assert solution.x.argmax() == kept


def test_caches_forget_the_least_recent_and_the_stale():
    cost = SwitchingCost(1.0, 1.0, cache_size=2, fresh_rounds=3)
    state = cost.init(2, 4)
    for experts in ([0], [1], [2]):
        state = cost.update(state, [completed(0, experts), Report(1, experts, outcome="dropped")])
    assert cost.previous(state, np.arange(2)).tolist() == [[False, True, True, False], [False] * 4]
    for _ in range(2):
        state = cost.update(state, [])
    assert cost.previous(state, np.array([0])).tolist() == [[False, False, True, False]]


def test_switching_costs_do_not_buy_imbalance():
    aligner = Aligner(RouterFitness(), LoadMonitor(catch_up=0.0), switching=SwitchingCost(1.0, 50.0))
    state = aligner.observe(aligner.init(8, 2), [completed(i, [0], router_mass=[0.9, 0.1]) for i in range(8)])
    solution, state = aligner.align(state, np.arange(8))
    assert solution.loads.tolist() == [4.0, 4.0]
    assert state.softened_rounds == 0


def test_prices_of_fetching_save_bytes():
    fetched = []
    for price in (0.0, 0.6):
        aligner = Aligner(RandomFitness(), switching=SwitchingCost(1.0, price, cache_size=1))
        solutions, _, _ = play(
            aligner, aligner.init(12, 4), rounds=10, cohort_size=12, rng=np.random.default_rng(0), dropouts=0.0
        )
        held, bytes_down = np.zeros((12, 4), dtype=bool), 0
        for solution in solutions:
            bytes_down += int((solution.x & ~held).sum())
            held = solution.x
        fetched.append(bytes_down)
    assert fetched[1] < 0.7 * fetched[0]


# Layers


def test_every_client_gets_an_expert_of_every_layer_or_none_at_all():
    capacity = CapacityProfiler(client_capacity=[1, 2, 3, 5, 10, 2])
    aligner = Aligner(capacity=capacity, layers=(2, 4))
    rng = np.random.default_rng(0)
    state = aligner.init(6, 6)
    for _ in range(4):
        solution, state = aligner.align(state, np.arange(6))
        assert solution.status is Status.OPTIMAL
        per_layer = np.stack([solution.x[:, :2].sum(axis=1), solution.x[:, 2:].sum(axis=1)], axis=1)
        assert per_layer[0].tolist() == [0, 0]
        assert (per_layer[1:] >= 1).all()
        assert per_layer.sum(axis=1).tolist() == [0, 2, 3, 5, 6, 2]
        state = aligner.observe(state, reports_of(solution, range(6), 6, rng))
    assert state.softened_rounds == 0


def test_each_layer_keeps_its_own_load_even():
    aligner = Aligner(RandomFitness(), LoadMonitor(tolerance=0.0), CapacityProfiler(client_capacity=2), layers=(2, 8))
    _, loads, state = play(
        aligner, aligner.init(16, 10), rounds=12, cohort_size=8, rng=np.random.default_rng(0), dropouts=0.2
    )
    total = loads.sum(axis=0)
    assert state.softened_rounds == 0
    assert variation(total[:2]) < 0.02
    assert variation(total[2:]) < 0.1
    assert total[0] > 3 * total[9]


def test_router_masses_are_scaled_layer_by_layer():
    aligner = Aligner(
        RouterFitness(), LoadMonitor(tolerance=np.inf), CapacityProfiler(client_capacity=2), layers=(2, 2)
    )
    told = completed(0, [0, 2], router_mass=[0.9, 0.1, 0.49, 0.51])
    solution, _ = aligner.align(aligner.observe(aligner.init(1, 4), [told]), [0])
    assert solution.x.astype(int).tolist() == [[1, 0, 0, 1]]


def test_layers_in_the_loop_are_the_joined_problem_of_the_layers():
    aligner = Aligner(
        RandomFitness(), LoadMonitor(tolerance=np.inf), CapacityProfiler(client_capacity=[2, 3, 4]), layers=(2, 3)
    )
    solution, _ = aligner.align(aligner.init(3, 5), np.arange(3))
    fitness, total = solution.problem.fitness, np.array([2, 3, 4])
    layers = [
        AlignmentProblem(part, client_demand=1, client_capacity=total - 1) for part in (fitness[:, :2], fitness[:, 2:])
    ]
    joined = join_layers(layers, client_capacity=total)
    assert solution.objective == pytest.approx(solve(joined.problem, "ilp").objective, rel=1e-9)


def test_a_client_that_cannot_pay_for_a_forward_pass_sits_out():
    budget = TimeBudget(deadline=6.0, expert_seconds=[1.0, 2.0, 0.5], expert_work=[1.0, 2.0, 3.0, 4.0])
    aligner = Aligner(capacity=CapacityProfiler(client_capacity=4, client_demand=3), budget=budget, layers=(2, 2))
    solution, _ = aligner.align(aligner.init(3, 4), np.arange(3))
    spent = (solution.x * np.array([1.0, 2.0, 3.0, 4.0])).sum(axis=1) * np.array([1.0, 2.0, 0.5])
    assert (spent <= 6.0).all()
    assert solution.x[1].sum() == 0
    assert solution.x[2].all()
    assert solution.x[0].tolist() == [True, True, True, False]


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.floats(0, 9)), min_size=1, max_size=4),
    st.lists(st.floats(0, 5), min_size=4, max_size=4),
    st.sampled_from([None, (4,), (1, 3), (2, 1, 1)]),
    st.booleans(),
)
def test_what_is_asked_of_clients_can_be_done(clients, costs, layers, equal):
    """For all combinations of capacities, demands, budgets and layers, no client of the round contradicts itself."""
    capacity, demand, budget = (np.array(column) for column in zip(*clients, strict=True))
    cost = np.tile(costs[:1] if equal else costs, (len(clients), 1))
    limits = client_limits(capacity, np.minimum(demand, capacity), 4, budgets=Budgets(budget, cost), layers=layers)
    problem = AlignmentProblem(np.ones((len(clients), 4)), **limits.fields)
    x = solve(problem, "topk").x
    spent = (x * np.broadcast_to(cost, x.shape)).sum(axis=1)
    assert (spent <= budget * (1 + 1e-8)).all()
    assert (x.sum(axis=1) <= capacity).all()
    if layers is not None:
        starts = np.concatenate([[0], np.cumsum(layers)[:-1]])
        per_layer = np.add.reduceat(x.astype(int), starts, axis=1)
        assert ((per_layer > 0).all(axis=1) | (per_layer == 0).all(axis=1)).all()
