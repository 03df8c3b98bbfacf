"""The aligner: properties that hold over many rounds, for all behaviour of clients."""

import dataclasses

import numpy as np
import pytest

from alignsolve import (
    Aligner,
    AlignmentProblem,
    CapacityProfiler,
    LoadMonitor,
    LossFitness,
    Outcome,
    Proof,
    Report,
    RouterFitness,
    Status,
    solve,
)
from tests.rounds import linprog_solver, play, reports_of, variation

TIERS = np.array([1, 1, 2, 4])


def tiered(num_clients: int) -> CapacityProfiler:
    return CapacityProfiler(client_capacity=np.resize(TIERS, num_clients))


def same(left, right) -> bool:
    """Return whether two states are bit-identical."""
    left, right = left.to_arrays(), right.to_arrays()
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype and np.array_equal(left[name], right[name], equal_nan=True)
        for name in left
    )


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_every_round_is_proven_and_respects_the_declared_capacities(rng):
    aligner = Aligner(capacity=tiered(12))
    for _ in range(5):
        cohort = np.sort(rng.choice(12, size=7, replace=False))
        solution, _ = aligner.align(aligner.init(12, 4), cohort)
        assert (solution.status, solution.proof) == (Status.OPTIMAL, Proof.PRICES)
        assert solution.gap <= 1e-9
        assert (solution.x.sum(axis=1) == np.resize(TIERS, 12)[cohort]).all()


def test_the_trial_of_the_design_has_no_infeasible_round():
    """10 clients, 8 experts, 20 % dropouts, ±10 % bounds, 250 rounds: soft bounds are kept, hard ones feasible."""
    for soft in (True, False):
        rng = np.random.default_rng(3)
        aligner = Aligner(load=LoadMonitor(tolerance=0.1, soft=soft), capacity=tiered(10))
        solutions, loads, state = play(aligner, aligner.init(10, 8), rounds=250, cohort_size=10, rng=rng, dropouts=0.2)
        assert all(solution.status is Status.OPTIMAL for solution in solutions)
        assert state.softened_rounds == 0
        assert state.round == 250
        assert variation(loads.sum(axis=0)) < 0.01


def test_cumulative_loads_grow_even_though_clients_differ_and_drop_out(rng):
    aligner = Aligner(capacity=tiered(20))
    _, loads, _ = play(aligner, aligner.init(20, 6), rounds=60, cohort_size=8, rng=rng, dropouts=0.3)
    spread = [variation(loads[:rounds].sum(axis=0)) for rounds in (5, 20, 60)]
    assert spread[2] < 0.02
    assert spread[2] < spread[0]
    totals = loads.cumsum(axis=0)
    assert (totals.max(axis=1) - totals.min(axis=1)).max() <= 8


def test_without_a_load_monitor_fitness_alone_decides(rng):
    """A run without bounds is uneven, so the even loads are an effect of the load monitor."""
    fitness = RouterFitness(beta=1.0)
    popular = np.array([0.7, 0.1, 0.1, 0.1])
    measures = {"usage": [1.0], "loss": [1.0], "accuracy": [1.0], "router_mass": popular}
    known = [Report(i, [0], **measures) for i in range(8)]
    loads = {}
    for tolerance in (0.1, np.inf):
        aligner = Aligner(fitness=fitness, load=LoadMonitor(tolerance=tolerance, catch_up=0.0))
        state = aligner.observe(aligner.init(8, 4), known)
        loads[tolerance] = aligner.align(state, np.arange(8))[0].loads.tolist()
    assert loads == {0.1: [2.0, 2.0, 2.0, 2.0], np.inf: [8.0, 0.0, 0.0, 0.0]}


def test_the_order_of_the_reports_does_not_matter(rng):
    aligner = Aligner(capacity=tiered(9))
    solution, state = aligner.align(aligner.init(9, 5), np.arange(9))
    reports = reports_of(solution, range(9), 5, rng, dropouts=0.3)
    shuffled = [reports[k] for k in rng.permutation(len(reports))]
    assert same(aligner.observe(state, reports), aligner.observe(state, shuffled))


def test_a_run_is_repeated_by_its_seed():
    def run(seed):
        aligner = Aligner(capacity=tiered(10))
        rng = np.random.default_rng(1)
        solutions, _, state = play(
            aligner, aligner.init(10, 4, seed=seed), rounds=6, cohort_size=6, rng=rng, dropouts=0.2
        )
        return [solution.x.tolist() for solution in solutions], state

    (first, state), (again, state_again), (other, _) = run(0), run(0), run(1)
    assert first == again
    assert same(state, state_again)
    assert first != other


def test_states_are_values(rng):
    """States are not changed in place: aligning or observing twice from one state gives equal results."""
    aligner = Aligner(capacity=tiered(6))
    start = aligner.init(6, 3)
    before = {name: array.copy() for name, array in start.to_arrays().items()}
    solution, aligned = aligner.align(start, [0, 2, 5])
    observed = aligner.observe(aligned, reports_of(solution, [0, 2, 5], 3, rng))
    again, aligned_again = aligner.align(start, [0, 2, 5])
    assert again.x.tolist() == solution.x.tolist()
    assert same(aligned, aligned_again)
    assert not same(aligned, observed)
    assert all(np.array_equal(array, before[name]) for name, array in start.to_arrays().items())


def test_dropouts_are_made_up_for():
    aligner = Aligner(capacity=CapacityProfiler(client_capacity=1), load=LoadMonitor(tolerance=0.0))
    solution, state = aligner.align(aligner.init(8, 4), np.arange(8))
    assert solution.loads.tolist() == [2, 2, 2, 2]
    holders = solution.x.argmax(axis=1)
    reports = [
        Report(i, [j], outcome=Outcome.DROPPED)
        if j == 0
        else Report(i, [j], usage=[1.0], loss=[1.0], accuracy=[0.5], num_examples=1)
        for i, j in enumerate(holders)
    ]
    solution, state = aligner.align(aligner.observe(state, reports), np.arange(8))
    assert solution.loads[0] in (3, 4)
    assert state.softened_rounds == 0


def test_a_round_in_which_all_drop_out_teaches_nothing(rng):
    aligner = Aligner(capacity=tiered(4))
    solution, state = aligner.align(aligner.init(4, 3), np.arange(4))
    reports = reports_of(solution, range(4), 3, rng, dropouts=1.1)
    after = aligner.observe(state, reports)  # places are free again
    assert same(dataclasses.replace(after, room=state.room, at_work=state.at_work), state)
    assert same(aligner.observe(state, []), state)


def test_a_cohort_of_one():
    aligner = Aligner(capacity=CapacityProfiler(client_capacity=[1, 3, 9]))
    state = aligner.init(3, 5)
    for client, held in ((0, 1), (1, 3), (2, 5)):
        solution, after = aligner.align(state, [client])
        assert solution.status is Status.OPTIMAL
        assert int(solution.x.sum()) == held
        assert after.softened_rounds == 0


def test_a_client_that_can_hold_nothing_gets_nothing():
    aligner = Aligner(capacity=CapacityProfiler(memory=[10, 300], expert_bytes=100))
    solution, _ = aligner.align(aligner.init(2, 4), [0, 1])
    assert solution.x.sum(axis=1).tolist() == [0, 3]


def test_clients_join(rng):
    aligner = Aligner(capacity=tiered(8))
    solution, state = aligner.align(aligner.init(5, 4), np.arange(5))
    state = aligner.observe(state, reports_of(solution, range(5), 4, rng))
    grown = state.grow(8)
    solution, grown = aligner.align(grown, [0, 6, 7])
    assert solution.x.sum(axis=1).tolist() == [1, 2, 4]
    grown = aligner.observe(grown, reports_of(solution, [0, 6, 7], 4, rng))
    assert grown.fitness.value.shape == (8, 4)
    assert (grown.fitness.value[1:5] == state.fitness.value[1:5]).all()
    assert (grown.load.load >= state.load.load).all()
    with pytest.raises(ValueError, match="cannot grow from 8 clients to 5"):
        grown.grow(5)


def test_a_joiner_without_declared_capacity_is_named_and_can_be_declared():
    aligner = Aligner(capacity=CapacityProfiler(client_capacity=[1, 1]))
    state = aligner.init(2, 2).grow(3)
    with pytest.raises(ValueError, match="client 2 has no declared capacity"):
        aligner.align(state, [0, 2])
    aligner = dataclasses.replace(aligner, capacity=CapacityProfiler(client_capacity=[1, 1, 2]))
    assert aligner.align(state, [0, 2])[0].x.sum() == 3


@pytest.mark.parametrize(
    ("cohort", "told"),
    [
        ([], "at least one client"),
        ([[0]], "at least one client"),
        ([0.5], "must be integers"),
        ([True, False], "must be integers"),
        ([-1, 0], r"names clients -1\.\.0, there are 0\.\.3"),
        ([0, 4], r"names clients 0\.\.4, there are 0\.\.3"),
        ([2, 1], "client 1 follows client 2"),
        ([1, 1], "client 1 follows client 1"),
    ],
)
def test_bad_cohorts(cohort, told):
    aligner = Aligner()
    with pytest.raises(ValueError, match=told):
        aligner.align(aligner.init(4, 2), cohort)


@pytest.mark.parametrize(
    ("clients", "experts", "told"),
    [
        ([1, 1], [0], "client 1 reports twice"),
        ([4], [0], "names client 4"),
        ([1], [2], "client 1 names expert 2"),
    ],
)
def test_bad_reports(clients, experts, told):
    aligner = Aligner()
    reports = [Report(i, experts, outcome="dropped") for i in clients]
    with pytest.raises(ValueError, match=told):
        aligner.observe(aligner.init(4, 2), reports)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Aligner(tie_break=-1), "tie_break is -1"),
        (lambda: Aligner().init(0, 2), "must be 1 or more"),
        (lambda: Aligner().init(2, 2, seed=-1), "seed is -1"),
    ],
)
def test_bad_arguments(make, told):
    with pytest.raises(ValueError, match=told):
        make()


def test_a_state_goes_through_arrays_and_back(rng):
    aligner = Aligner(capacity=tiered(7), fitness=RouterFitness())
    _, _, state = play(aligner, aligner.init(7, 3, seed=5), rounds=3, cohort_size=4, rng=rng)
    back = aligner.from_arrays({name: array.copy() for name, array in state.to_arrays().items()})
    assert same(back, state)
    assert aligner.align(back, [0, 3])[0].x.tolist() == aligner.align(state, [0, 3])[0].x.tolist()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda arrays: arrays.pop("load.load"), "lacks load.load"),
        (lambda arrays: arrays.pop("seed"), "lacks seed"),
        (lambda arrays: arrays.update(extra=np.zeros(1)), "holds extra"),
        (lambda arrays: arrays.update(prices=np.zeros(9)), r"prices is float64 \(9,\), expected one for"),
        (lambda arrays: arrays.update(round=np.float64(1)), "round is float64"),
    ],
)
def test_arrays_of_another_state_are_refused(spoil, told):
    aligner = Aligner()
    arrays = aligner.init(4, 3).to_arrays()
    spoil(arrays)
    with pytest.raises(ValueError, match=told):
        aligner.from_arrays(arrays)


def test_soft_bounds_lose_nothing_where_hard_ones_hold(rng):
    """The default penalty is exact: an independent solver finds the same optimum with soft and with hard bounds."""
    fitness = LossFitness(beta=1.0)
    for _ in range(10):
        aligner = Aligner(fitness=fitness, capacity=tiered(8), tie_break=0.0)
        _, _, state = play(aligner, aligner.init(8, 4), rounds=4, cohort_size=8, rng=rng, dropouts=0.3)
        solution, _ = aligner.align(state, np.arange(8))
        soft = solution.problem
        hard = AlignmentProblem(
            soft.fitness,
            client_capacity=soft.client_capacity,
            client_demand=soft.client_demand,
            expert_capacity=soft.expert_capacity,
            expert_demand=soft.expert_demand,
        )
        assert solution.objective == pytest.approx(solve(hard, linprog_solver).objective, rel=1e-9)


def test_a_low_price_lets_fitness_buy_imbalance_and_the_state_tells():
    popular = {"usage": [1.0], "loss": [1.0], "accuracy": [1.0], "router_mass": [1.0, 0.0]}
    aligner = Aligner(fitness=RouterFitness(), load=LoadMonitor(penalty=0.1, catch_up=0.0))
    state = aligner.observe(aligner.init(6, 2), [Report(i, [0], **popular) for i in range(6)])
    solution, state = aligner.align(state, np.arange(6))
    assert solution.loads.tolist() == [6.0, 0.0]
    assert state.softened_rounds == 1


def test_a_round_whose_shares_were_clipped_is_counted():
    measures = {"usage": [1.0], "loss": [1.0], "accuracy": [1.0]}
    aligner = Aligner()
    state = aligner.observe(aligner.init(9, 2), [Report(i, [0], **measures) for i in range(9)])
    solution, state = aligner.align(state, [0, 1])
    assert solution.loads.tolist() == [0.0, 2.0]
    assert (state.clipped_rounds, state.softened_rounds) == (1, 0)


@pytest.mark.parametrize("tie_break", [1e-6, 0.0])
def test_fitness_decides_before_ties_do(tie_break):
    aligner = Aligner(fitness=RouterFitness(), tie_break=tie_break)
    measures = {"usage": [1.0], "loss": [1.0], "accuracy": [1.0]}
    masses = [[0.6, 0.4, 0.0], [0.6, 0.0, 0.4], [0.5, 0.3, 0.2]]
    state = aligner.observe(
        aligner.init(3, 3), [Report(i, [i], router_mass=mass, **measures) for i, mass in enumerate(masses)]
    )
    assert aligner.align(state, [0, 1, 2])[0].x.argmax(axis=1).tolist() == [1, 2, 0]


def test_blind_baselines_move_on_from_round_to_round():
    for solver in ("rolling", "random"):
        aligner = Aligner(capacity=CapacityProfiler(client_capacity=1), solver=solver)
        state, seen = aligner.init(3, 6), []
        for _ in range(6):
            solution, state = aligner.align(state, [0, 1, 2])
            seen.append(solution.assigned.experts.tolist())
        assert len({tuple(experts) for experts in seen}) > 3
        if solver == "rolling":
            assert seen == [[r % 6, (r + 1) % 6, (r + 2) % 6] for r in range(6)]
