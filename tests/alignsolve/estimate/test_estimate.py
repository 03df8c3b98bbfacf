"""The estimators, each by its own law."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from alignsolve import CapacityProfiler, LoadMonitor, LossFitness, Outcome, Report, RouterFitness
from alignsolve.estimate.share import even_share

RNG = np.random.default_rng(0)
BOTH = np.arange(2)


def report(client=0, experts=(0,), **changes):
    size = len(experts)
    measures = {"usage": np.ones(size), "loss": np.ones(size), "accuracy": np.full(size, 0.5)}
    return Report(client, experts, **(measures | changes))


# Reports


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"client": -1}, "client of a report is -1"),
        ({"client": 1.5}, "client of a report is 1.5"),
        ({"client": True}, "client of a report is True"),
        ({"num_examples": None}, "client 3: num_examples is None"),
        ({"num_examples": True}, "client 3: num_examples is True"),
        ({"num_examples": "9"}, "client 3: num_examples is '9'"),
        ({"bytes_up": 1e300}, r"client 3: bytes_up is 1e\+300"),
        ({"loss": [1e308]}, r"client 3: loss of expert 4 is 1e\+308; it must be a finite number of at most 1e\+30"),
        ({"usage": [1e200]}, r"client 3: usage of expert 4 is 1e\+200"),
        ({"router_mass": [1e308]}, "client 3: router_mass must be finite"),
        ({"experts": [0, 0]}, "client 3: experts must be distinct"),
        ({"experts": [[0]]}, "client 3: experts must be a list"),
        ({"experts": [0.5]}, "client 3: experts must be a list"),
        ({"experts": np.array([2**63], dtype=np.uint64)}, "client 3: experts must be indices"),
        ({"loss": [1.0, 2.0]}, r"client 3: loss has shape \(2,\), but it has 1 experts"),
        ({"loss": [np.nan]}, "client 3: loss of expert 4 is nan"),
        ({"usage": [-1.0]}, "client 3: usage of expert 4 is -1.0"),
        ({"accuracy": None}, "client 3: accuracy is missing"),
        ({"seconds": np.inf}, "client 3: seconds is inf"),
        ({"num_examples": -1}, "client 3: num_examples is -1"),
        ({"router_mass": [0.5, np.nan]}, "client 3: router_mass must be finite"),
        ({"outcome": "vanished"}, "client 3: outcome is 'vanished'; it must be one of completed, dropped"),
        ({"loss": ["low"]}, "client 3: loss must be an array of numbers"),
    ],
)
def test_reports_refuse_what_cannot_be(changes, told):
    with pytest.raises(ValueError, match=told):
        report(**({"client": 3, "experts": [4]} | changes))


def test_an_expert_without_examples_has_no_loss_and_teaches_nothing():
    fitness = LossFitness(alpha=1.0, beta=0.5, prior=0.25)
    silent = report(0, [0, 1], usage=[0.0, 1.0], loss=[np.nan, 0.0], accuracy=[np.nan, 1.0])
    state = fitness.update(fitness.init(1, 2), [silent])
    assert fitness.fitness(state, np.array([0]), rng=RNG).tolist() == [[0.25, 0.625]]


def test_a_dropped_client_need_not_report_measures():
    gone = Report(0, [1, 2], outcome=Outcome.DROPPED)
    assert np.isnan(gone.loss).all()
    assert not gone.completed


# Fitness


def test_loss_fitness_is_the_moving_average_of_the_papers_score():
    fitness = LossFitness(alpha=2.0, beta=0.25, prior=1.0)
    first = fitness.update(fitness.init(2, 3), [report(1, [0, 2], loss=[0.5, 1.0])])
    second = fitness.update(first, [report(1, [2], loss=[0.0])])
    q2 = 0.75 * 1.0 + 0.25 * np.exp(-2.0)
    expected = [[1.0, 1.0, 1.0], [0.75 + 0.25 * np.exp(-1.0), 1.0, 0.75 * q2 + 0.25]]
    np.testing.assert_allclose(fitness.fitness(second, BOTH, rng=RNG), expected)
    assert (fitness.init(2, 3).value == 1.0).all()


def test_loss_fitness_can_take_accuracy_instead():
    fitness = LossFitness(beta=1.0, signal="accuracy")
    state = fitness.update(fitness.init(1, 2), [report(0, [1], accuracy=[0.75])])
    assert fitness.fitness(state, np.array([0]), rng=RNG).tolist() == [[1.0, 0.75]]


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.COMPLETED])
def test_only_completed_rounds_teach(outcome):
    failed = report(0, [1], outcome=outcome, router_mass=[0.9, 0.1])
    for fitness in (LossFitness(), RouterFitness()):
        before = fitness.init(2, 2)
        after = fitness.update(before, [failed])
        np.testing.assert_array_equal(after.value, before.value)
    load = LoadMonitor()
    assert load.update(load.init(2, 2), [failed]).load.tolist() == [0.0, 0.0]


def test_router_fitness_scales_each_client_to_its_own_range():
    fitness = RouterFitness(beta=0.5)
    state = fitness.init(3, 3)
    state = fitness.update(state, [report(0, router_mass=[0.2, 0.3, 0.5]), report(1, router_mass=[0.4, 0.4, 0.4])])
    np.testing.assert_allclose(
        fitness.fitness(state, np.arange(3), rng=RNG), [[0.0, 1 / 3, 1.0], [0.5] * 3, [0.5] * 3], atol=1e-12
    )
    state = fitness.update(state, [report(0, router_mass=[0.8, 0.1, 0.1])])
    np.testing.assert_allclose(state.value[0], [0.5, 0.2, 0.3])


@pytest.mark.parametrize("mass", [None, [0.5, 0.5]])
def test_router_fitness_names_the_client_without_router_mass(mass):
    fitness = RouterFitness()
    with pytest.raises(ValueError, match="client 1: RouterFitness needs router_mass of shape"):
        fitness.update(fitness.init(2, 3), [report(1, router_mass=mass)])


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: LossFitness(alpha=0), "alpha is 0"),
        (lambda: LossFitness(beta=1.5), "beta is 1.5"),
        (lambda: LossFitness(signal="luck"), "signal is 'luck'"),
        (lambda: LossFitness(prior=2), "prior is 2"),
        (lambda: RouterFitness(beta=0), "beta is 0"),
        (lambda: LoadMonitor(tolerance=-0.1), "tolerance is -0.1"),
        (lambda: LoadMonitor(catch_up=2), "catch_up is 2"),
        (lambda: LoadMonitor(penalty=np.inf), "penalty is inf"),
        (CapacityProfiler, "give either client_capacity, or memory"),
        (lambda: CapacityProfiler(client_capacity=1, memory=1, expert_bytes=1), "give either"),
        (lambda: CapacityProfiler(memory=1), "memory and expert_bytes need each other"),
        (lambda: CapacityProfiler(client_capacity=[1, 1.5]), "client_capacity of client 1 is 1.5"),
        (lambda: CapacityProfiler(client_capacity=[[1]]), "must be a scalar or"),
        (lambda: CapacityProfiler(client_capacity=1, at_least=-1), "at_least is -1"),
        (lambda: CapacityProfiler(memory=[1, -1], expert_bytes=1), "memory of device 1 is -1"),
        (lambda: CapacityProfiler(memory=[[1], [2, 3]], expert_bytes=1), "memory must be an array of numbers"),
        (lambda: CapacityProfiler(memory=1, expert_bytes=0), "expert_bytes must be above 0"),
    ],
)
def test_parameters_are_checked(make, told):
    with pytest.raises(ValueError, match=told):
        make()


# Load


def supply(capacity: np.ndarray, num_experts: int, size: int) -> int:
    """Return the most load that the clients can give to ``size`` experts together."""
    return int(np.minimum(capacity, min(size, num_experts)).sum())


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=6),
    st.lists(st.integers(0, 12), min_size=1, max_size=5),
)
def test_the_share_is_one_that_the_cohort_can_bring_about(capacity, past):
    capacity, past = np.array(capacity), np.array(past, dtype=float)
    share = even_share(past, capacity)
    assert share.sum() == pytest.approx(supply(capacity, len(past), len(past)))
    for size in range(1, len(past) + 1):
        for members in itertools.combinations(range(len(past)), size):
            assert share[list(members)].sum() <= supply(capacity, len(past), size) + 1e-9


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=5),
    st.lists(st.integers(0, 8), min_size=2, max_size=4),
)
def test_the_share_is_the_most_even_one(capacity, past):
    """No other share that the cohort can supply has a smaller variance, by a general constrained optimiser."""
    capacity, past = np.array(capacity), np.array(past, dtype=float)
    num_experts = len(past)
    most = [supply(capacity, num_experts, size) for size in range(num_experts + 1)]
    limits = [
        {"type": "ineq", "fun": lambda t, m=list(members): most[len(m)] - t[m].sum()}
        for size in range(1, num_experts)
        for members in itertools.combinations(range(num_experts), size)
    ]
    limits.append({"type": "eq", "fun": lambda t: t.sum() - most[-1]})
    start = np.full(num_experts, most[-1] / num_experts)
    best = minimize(lambda t: ((t + past) ** 2).sum(), start, constraints=limits, method="SLSQP")
    reached = ((even_share(past, capacity) + past) ** 2).sum()
    assert reached <= best.fun + 1e-5 * max(1.0, best.fun)


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=8),
    st.lists(st.integers(0, 30), min_size=1, max_size=6),
    st.sampled_from([0.0, 0.1, 0.5, 2.0, np.inf]),
)
def test_bounds_never_cross_and_surround_the_share(capacity, past, tolerance):
    monitor = LoadMonitor(tolerance=tolerance)
    state = monitor.init(len(capacity), len(past))
    state = monitor.update(state, [report(i, [j]) for i, j in enumerate(np.repeat(np.arange(len(past)), past))])
    assert state.load.tolist() == past
    bounds = monitor.bounds(state, np.array(capacity), np.zeros((len(capacity), len(past))))
    assert (bounds.demand <= bounds.share + 1e-6).all()
    assert (bounds.share <= bounds.capacity + 1e-6).all()
    assert (bounds.demand == np.floor(bounds.demand)).all()
    assert (bounds.demand >= 0).all()


def test_bounds_are_the_whole_numbers_within_tolerance_and_those_beside_the_share():
    monitor = LoadMonitor(tolerance=0.1)
    for num_clients, expected in ((20, (5, 5)), (10, (2, 3)), (110, (25, 30))):
        bounds = monitor.bounds(monitor.init(1, 4), np.full(num_clients, 1), np.zeros((num_clients, 4)))
        assert {(low, high) for low, high in zip(bounds.demand, bounds.capacity, strict=True)} == {expected}


def test_bounds_lean_towards_the_experts_that_fell_behind():
    monitor = LoadMonitor(tolerance=0.0)
    state = monitor.update(monitor.init(9, 3), [report(0, [0]), report(1, [0, 1])])
    bounds = monitor.bounds(state, np.full(9, 1), np.zeros((9, 3)))
    assert bounds.demand.tolist() == bounds.capacity.tolist() == [2.0, 3.0, 4.0]
    assert not bounds.clipped
    forgetful = LoadMonitor(tolerance=0.0, catch_up=0.0)
    assert forgetful.bounds(state, np.full(9, 1), np.zeros((9, 3))).demand.tolist() == [3.0, 3.0, 3.0]


def test_a_deficit_beyond_the_cohort_is_clipped_and_told():
    monitor = LoadMonitor()
    state = monitor.update(monitor.init(9, 2), [report(i, [0]) for i in range(9)])
    bounds = monitor.bounds(state, np.array([1, 1]), np.zeros((2, 2)))
    assert bounds.clipped
    assert bounds.share.tolist() == [0.0, 2.0]
    assert (bounds.capacity <= 2).all()


@pytest.mark.parametrize(("fitness", "price"), [([[0.0, 1.0]], 3.0), ([[0.0, 0.0]], 3.0), ([[-1.0, 4.0]], 15.0)])
def test_the_price_of_imbalance_exceeds_what_a_chain_of_clients_can_gain(fitness, price):
    bounds = LoadMonitor().bounds(LoadMonitor().init(1, 2), np.array([1]), np.array(fitness))
    assert bounds.penalty == price


# Capacity


def test_capacity_from_memory_counts_the_largest_expert_beside_the_shared_part():
    profiler = CapacityProfiler(memory=[1000, 300, 99, 50], expert_bytes=[50, 100], shared_bytes=100)
    capacity, demand = profiler.capacity(profiler.init(4, 2), np.arange(4))
    assert capacity.tolist() == [9, 2, 0, 0]
    assert demand.tolist() == [1, 1, 0, 0]


def test_capacity_of_at_least_one_where_declared_so():
    profiler = CapacityProfiler(memory=[10, 300], expert_bytes=100, at_least=1)
    assert profiler.capacity(profiler.init(2, 4), np.arange(2))[0].tolist() == [1, 3]


def test_a_scalar_capacity_is_everybodys():
    profiler = CapacityProfiler(client_capacity=3, client_demand=2)
    capacity, demand = profiler.capacity(profiler.init(5, 4), np.array([1, 4]))
    assert capacity.tolist() == [3, 3]
    assert demand.tolist() == [2, 2]


def test_an_undeclared_client_is_named():
    profiler = CapacityProfiler(client_capacity=[1, 2])
    with pytest.raises(ValueError, match="client 2 has no declared capacity"):
        profiler.init(3, 4)
