"""The policies: the distinctive property of each, and the client bounds that all must keep."""

import numpy as np
import pytest

from alignsolve import (
    POLICIES,
    CapacityProfiler,
    LoadMonitor,
    Parts,
    Privacy,
    Report,
    RouterFitness,
    Status,
    SwitchingCost,
    TimeBudget,
    UnsupportedError,
)
from alignsolve.policies import REFERENCES
from tests.rounds import completed_loads, reports_of, variation

CAPACITY = np.resize([1, 2, 1, 3], 12)
PARTS = Parts(capacity=CapacityProfiler(client_capacity=CAPACITY), fitness=RouterFitness())


def popular(client):
    """Return a report of a client whose router prefers expert 0; the strength varies."""
    mass = np.array([8.0 + client, 1.0 + client % 3, 1.0 + client % 2, 1.5])
    return Report(client, [0], usage=[1.0], loss=[0.5], accuracy=[0.5], router_mass=mass / mass.sum(), num_examples=9)


def rounds_of(name, *, rounds=6, parts=PARTS, **parameters):
    aligner, rng = POLICIES[name](parts, **parameters), np.random.default_rng(0)
    state, alignments = aligner.init(12, 4), []
    for _ in range(rounds):
        solution, state = aligner.align(state, np.arange(12))
        assert solution.assigned is not None
        alignments.append(solution.x)
        state = aligner.observe(state, reports_of(solution, range(12), 4, rng, dropouts=0.2))
    return np.array(alignments), state


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_every_policy_runs_and_keeps_to_the_clients_capacities(name):
    alignments, _ = rounds_of(name)
    held = alignments.sum(axis=2)
    if name in REFERENCES:
        assert alignments.all()
    else:
        assert (held <= CAPACITY).all()
    if name not in REFERENCES | {"expert-choice"}:
        assert (held == CAPACITY).all()


@pytest.mark.parametrize("name", sorted(set(POLICIES) - {"expert-choice"}))
def test_every_policy_but_expert_choice_fills_layers_and_budgets_bind_all_but_references(name):
    budget = TimeBudget(deadline=4.0, expert_seconds=1.0)
    parts = Parts(CapacityProfiler(client_capacity=5), RouterFitness(), budget=budget, layers=(2, 2),
                  privacy=Privacy(epsilon=5.0, release=("router_mass", "pairs")))  # fmt: skip
    alignments, _ = rounds_of(name, rounds=3, parts=parts)
    assert (alignments[:, :, :2].any(axis=2) & alignments[:, :, 2:].any(axis=2)).all()
    tight = Parts(CapacityProfiler(client_capacity=5), budget=TimeBudget(deadline=2.0, expert_seconds=1.0))
    assert rounds_of(name, rounds=1, parts=tight)[0].sum(axis=2).max() == (4 if name in REFERENCES else 2)


def test_expert_choice_says_that_it_takes_no_layers():
    parts = Parts(CapacityProfiler(client_capacity=4), layers=(2, 2))
    with pytest.raises(UnsupportedError, match="groups"):
        rounds_of("expert-choice", parts=parts)


def first_alignment(name, **parameters):
    aligner = POLICIES[name](PARTS, **parameters)
    state = aligner.observe(aligner.init(12, 4), [popular(i) for i in range(12)])
    return aligner.align(state, np.arange(12))[0]


def test_who_balances_balances_and_who_does_not_crowds_the_popular_expert():
    crowded = {name: first_alignment(name).loads for name in ("topk", "ours", "fedamole", "random-balanced")}
    assert crowded["topk"][0] == 12
    assert variation(crowded["topk"]) > 0.3
    assert variation(crowded["fedamole"]) <= 0.1
    for name in ("ours", "random-balanced"):
        assert crowded[name][0] <= 6  # expert 0 is ahead after the first reports


def test_ours_is_optimal_and_proven_and_chance_is_not_repeated():
    assert first_alignment("ours").status is Status.OPTIMAL
    for name in ("random", "random-balanced", "rolling"):
        alignments, _ = rounds_of(name, rounds=4)
        assert len({alignment.tobytes() for alignment in alignments}) == 4


def test_the_rolling_window_moves_by_one_expert_per_round():
    alignments, _ = rounds_of("rolling", rounds=3)
    for number, alignment in enumerate(alignments):
        for client in range(12):
            window = {(number + client + k) % 4 for k in range(CAPACITY[client])}
            assert set(np.flatnonzero(alignment[client])) == window


def test_expert_choice_leaves_out_clients_that_no_expert_wants():
    parts = Parts(CapacityProfiler(client_capacity=1), RouterFitness(scaling="none"), LoadMonitor(catch_up=0.0))
    aligner = POLICIES["expert-choice"](parts)
    state = aligner.observe(aligner.init(12, 4), [popular(i) for i in range(12)])
    solution, _ = aligner.align(state, np.arange(12))
    assert solution.loads.max() <= 3
    assert (solution.x.sum(axis=1) == 0).any()


def test_oort_repairs_where_flex_moe_specialises():
    """Client 0 has a high loss with expert 0, a low one with expert 1; both were tried equally."""
    told = Report(0, [0, 1], usage=[0.5, 0.5], loss=[3.0, 0.1], accuracy=[0.1, 0.9], num_examples=20)
    chosen = {}
    for name, parameters in (
        ("oort", {"exploration": 0.0, "least_exploration": 0.0}),
        ("flex-moe", {"prior": 0.0, "tolerance": np.inf}),
    ):
        aligner = POLICIES[name](Parts(CapacityProfiler(client_capacity=1), load=LoadMonitor()), **parameters)
        solution, _ = aligner.align(aligner.observe(aligner.init(1, 3), [told]), [0])
        chosen[name] = int(solution.x.argmax())
    assert chosen == {"oort": 0, "flex-moe": 1}


def test_flex_moe_keeps_q_of_what_it_does_not_try_and_evens_out_loads():
    alignments, state = rounds_of("flex-moe", rounds=30, prior=0.25)
    assert variation(alignments.sum(axis=(0, 1))) < 0.1
    tried = alignments.any(axis=0)
    assert (state.fitness.value[~tried] == 0.25).all()


def test_fedamole_gives_two_experts_to_all_who_can_hold_them_and_equal_holders_to_experts():
    alignments, _ = rounds_of("fedamole", rounds=3)
    assert (alignments.sum(axis=2) >= np.minimum(CAPACITY, 2)).all()
    loads = alignments.sum(axis=1)
    assert (loads.max(axis=1) - loads.min(axis=1) <= 1).all()


def test_only_ours_prices_downloads():
    parts = Parts(PARTS.capacity, PARTS.fitness, switching=SwitchingCost(1.0, 0.5))
    priced = [name for name in POLICIES if POLICIES[name](parts).switching is not None]
    assert priced == ["ours"]


def test_the_loads_of_completed_rounds_grow_even_under_ours():
    aligner, rng = POLICIES["ours"](PARTS), np.random.default_rng(0)
    state, total = aligner.init(12, 4), np.zeros(4)
    for _ in range(40):
        solution, state = aligner.align(state, np.arange(12))
        reports = reports_of(solution, range(12), 4, rng, dropouts=0.2)
        total += completed_loads(reports, 4)
        state = aligner.observe(state, reports)
    assert variation(total) <= 0.01
