"""One budget of bytes per client over all layers, and how layers divide what a client can take."""

import numpy as np
import pytest

from alignsolve import (
    Aligner,
    CapacityProfiler,
    LoadMonitor,
    LossFitness,
    MemoryBudget,
    Proof,
    RandomFitness,
    Report,
    RouterFitness,
    Status,
)
from alignsolve.estimate.layered import LayeredFitness, LayeredLoad, shared_out
from alignsolve.estimate.limits import client_limits, missing_for_every_layer


def test_bytes_are_kept_over_all_layers_together():
    layers, sizes, memory = (2, 4, 3), np.array([30, 10, 20]), np.array([75, 100, 140, 400, 59, 68])
    aligner = Aligner(RandomFitness(), budget=MemoryBudget(memory, sizes, 8, layers), layers=layers)
    state = aligner.init(6, 9)
    for _ in range(2):
        solution, state = aligner.align(state, np.arange(6))
        assert solution.status in (Status.OPTIMAL, Status.FEASIBLE)
        spent = solution.x @ np.repeat(sizes, layers)
        held = np.add.reduceat(solution.x, [0, 2, 6], axis=1)
        assert (spent <= np.maximum(memory - 8, 0)).all()
        assert (held[[0, 1, 2, 3, 5]] >= 1).all()
        assert spent[3] == 160, "everything fits"
        assert spent[4] == 0, "cannot pay for one expert of each layer"


def test_experts_of_one_size_make_the_budget_a_number_of_experts():
    layers = (3, 5)
    counted = Aligner(RandomFitness(), capacity=CapacityProfiler(client_capacity=[2, 4, 5]), layers=layers)
    for sizes in (100, [100, 100], [100] * 8):
        budget = MemoryBudget([299, 450, 550], sizes, shared_bytes=50, layers=layers)
        weighed = Aligner(RandomFitness(), budget=budget, layers=layers)
        (one, _), (other, _) = (each.align(each.init(3, 8), [0, 1, 2]) for each in (counted, weighed))
        assert other.problem.client_budget is None
        assert other.proof is Proof.PRICES
        np.testing.assert_array_equal(one.x, other.x)


def test_one_row_of_costs_stands_for_all_clients():
    budget = MemoryBudget(memory=[60, 30, 100], expert_bytes=[10, 30], layers=(2, 1))
    budgets = budget.budgets(budget.init(3, 3), np.arange(3))
    assert budgets.cost.shape == (1, 3)
    spread = budgets._replace(cost=np.repeat(budgets.cost, 3, axis=0))
    one, other = (
        client_limits(np.full(3, 9), np.ones(3, dtype=int), 3, budgets=each, layers=(2, 1))
        for each in (budgets, spread)
    )
    np.testing.assert_array_equal(one.capacity, other.capacity)
    np.testing.assert_array_equal(one.capacity, [3, 0, 3])
    np.testing.assert_array_equal(missing_for_every_layer(budgets, (2, 1)), [0, 10, 0])
    np.testing.assert_array_equal(missing_for_every_layer(budgets, (2, 1), 2), [0, 20, 0])


def test_as_many_experts_of_every_layer_as_a_forward_pass_needs():
    aligner = Aligner(RandomFitness(), budget=MemoryBudget([40, 30, 60], 10), layers=(4, 4), layer_demand=2)
    solution, _ = aligner.align(aligner.init(3, 8), [0, 1, 2])
    held = np.add.reduceat(solution.x, [0, 4], axis=1)
    assert held[0].tolist() == [2, 2]
    assert held[1].tolist() == [0, 0]
    assert held[2].min() >= 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"memory": [[1.0]]}, r"memory has shape \(1, 1\); it must be a scalar or \(num_clients,\)"),
        ({"memory": [5, -1]}, r"memory\[num_clients 1\]|memory"),
        ({"memory": np.inf}, "memory"),
        ({"expert_bytes": 0}, "expert_bytes must be above 0"),
        ({"shared_bytes": -1.0}, "shared_bytes is -1"),
    ],
)
def test_bad_declarations(change, told):
    with pytest.raises(ValueError, match=told):
        MemoryBudget(**({"memory": 10, "expert_bytes": 1} | change))


def test_declarations_of_other_clients_or_experts_are_named():
    with pytest.raises(ValueError, match=r"client 2 has no declared memory: there are 2\. .* longer MemoryBudget"):
        MemoryBudget([1, 2], 1).init(3, 4)
    with pytest.raises(ValueError, match="expert_bytes has 3 entries, there are 4 experts"):
        MemoryBudget(9, [1, 2, 3]).init(3, 4)
    with pytest.raises(ValueError, match="expert_bytes has 2 entries, there are 4 experts"):
        MemoryBudget(9, [1, 2]).init(3, 4)  # per layer, but the layers are not said


def test_places_go_one_by_one_to_the_layer_that_is_the_least_full():
    rng = np.random.default_rng(0)
    for _ in range(200):
        sizes = tuple(rng.integers(1, 7, rng.integers(1, 5)).tolist())
        capacity = rng.integers(0, sum(sizes) + 3, 6)
        for total, given in zip(np.minimum(capacity, sum(sizes)), shared_out(capacity, sizes), strict=True):
            wanted = np.ones(len(sizes), dtype=int) if total >= len(sizes) else np.zeros(len(sizes), dtype=int)
            while wanted.any() and wanted.sum() < total:
                wanted[np.where(wanted < sizes, wanted / np.array(sizes), np.inf).argmin()] += 1
            np.testing.assert_array_equal(given, wanted)


def test_the_price_of_imbalance_covers_a_change_between_layers():
    """A client may leave an expert of one layer for one of another, which it likes far better."""
    fitness = np.array([[0.0, 1.0, 5.0], [0.5, 0.5, 9.0]])
    load = LayeredLoad(LoadMonitor(), (2, 1))
    bounds = load.bounds(load.init(2, 3), np.array([2, 3]), fitness)
    assert bounds.penalty == LoadMonitor()._price(fitness) == 36.0


@pytest.mark.parametrize("layer", [RouterFitness(), RouterFitness(scaling="none", purpose="repair"), LossFitness()])
def test_layers_of_one_size_are_estimated_in_one_pass_as_one_by_one(layer):
    rng, num_clients = np.random.default_rng(0), 5
    layered = LayeredFitness(layer, (3, 3, 3, 3))
    state = layered.init(num_clients, 12)
    told = [
        Report(i, [i, 7], usage=[1, 1], loss=rng.random(2), accuracy=[0.5, 0.5], router_mass=rng.random(12))
        for i in (0, 2, 3)
    ]
    state = layered.update(state, told)
    cohort = np.array([1, 2, 4])
    one_by_one = [layer.fitness(part, cohort, rng=rng) for part in state.parts]
    np.testing.assert_array_equal(layered.fitness(state, cohort, rng=rng), np.concatenate(one_by_one, axis=1))
