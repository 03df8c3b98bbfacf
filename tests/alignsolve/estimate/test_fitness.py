"""Each fitness estimator, tested by the properties that its source states."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignsolve import (
    AffinityFitness,
    ClusterFitness,
    GatedFitness,
    LossFitness,
    LowRankFitness,
    NeededFitness,
    OortFitness,
    OptimisticFitness,
    Report,
    RouterFitness,
    SumFitness,
)
from alignsolve.estimate.clusters import balanced_members
from alignsolve.estimate.difference import evidence_of

RNG = np.random.default_rng(0)


def report(client=0, experts=(0,), **changes):
    size = len(experts)
    measures = {"usage": np.ones(size), "loss": np.ones(size), "accuracy": np.full(size, 0.5)}
    return Report(client, experts, **(measures | changes))


def fitness_of(estimator, state, clients, seed=0):
    return estimator.fitness(state, np.asarray(clients), rng=np.random.default_rng(seed))


# Opposite purposes


@pytest.mark.parametrize(
    ("specialise", "repair"),
    [
        (LossFitness(), LossFitness(purpose="repair")),
        (RouterFitness(), RouterFitness(purpose="repair")),
        (LowRankFitness(rank=1), LowRankFitness(rank=1, purpose="repair")),
        (OortFitness(purpose="specialise"), OortFitness()),
        (RouterFitness(), SumFitness(((-1.0, RouterFitness()),))),
    ],
)  # fmt: skip
def test_specialise_and_repair_rank_what_was_tried_in_opposite_orders(specialise, repair):
    """Expert 1 serves client 0 best, expert 2 worst."""
    told = report(0, [0, 1, 2], loss=[1.0, 0.1, 3.0], router_mass=[0.3, 0.6, 0.1], num_examples=9)
    orders = []
    for estimator in (specialise, repair):
        state = estimator.update(estimator.init(1, 3), [told])
        orders.append(np.argsort(fitness_of(estimator, state, [0])[0]).tolist())
    assert orders == [[2, 0, 1], [1, 0, 2]]


# Router


def test_masses_without_scaling_let_decided_clients_outvote_others():
    fitness = RouterFitness(scaling="none")
    state = fitness.update(fitness.init(3, 2), [report(0, router_mass=[0.9, 0.1]), report(1, router_mass=[0.6, 0.4])])
    assert fitness_of(fitness, state, [0, 1, 2]).tolist() == [[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]]


# Sums


def test_a_sum_is_the_sum_of_its_parts():
    router, loss = RouterFitness(), LossFitness(prior=0.25)
    both = SumFitness(((2.0, router), (-0.5, loss)))
    told = [report(0, [1], loss=[0.3], router_mass=[0.2, 0.8]), report(2, [0], loss=[2.0], router_mass=[0.6, 0.4])]
    state = both.update(both.init(3, 2), told)
    expected = 2.0 * fitness_of(router, router.update(router.init(3, 2), told), range(3))
    expected -= 0.5 * fitness_of(loss, loss.update(loss.init(3, 2), told), range(3))
    np.testing.assert_allclose(fitness_of(both, state, range(3)), expected)


# Oort


def oort_of(reports, *, rounds=1, **parameters):
    fitness = OortFitness(**({"exploration": 0.0, "least_exploration": 0.0, "clip": 1.0} | parameters))
    state = fitness.init(4, 3)
    for told in reports:
        state = fitness.update(state, told)
    for _ in range(rounds - len(reports)):
        state = fitness.update(state, [])
    return fitness, state


def test_oort_multiplies_examples_by_loss_and_adds_staleness():
    told = report(0, [0, 2], usage=[0.25, 0.75], loss=[4.0, 2.0], num_examples=40)
    fitness, state = oort_of([[told]], rounds=5)
    staleness = np.sqrt(0.1 * np.log(6) / 1)
    np.testing.assert_allclose(fitness_of(fitness, state, [0]), [[40 / 60 + staleness, 0.0, 1.0 + staleness]])


def test_oort_punishes_slow_clients_by_the_square_of_their_delay():
    told = [report(i, [0], num_examples=10, seconds=seconds) for i, seconds in enumerate([1.0, 2.0, 4.0])]
    fitness, state = oort_of([told], preferred_seconds=2.0, staleness=0.0)
    assert fitness_of(fitness, state, [0, 1, 2])[:, 0].tolist() == [1.0, 1.0, 0.25]
    fitness, state = oort_of([told], preferred_quantile=0.5, staleness=0.0)
    assert fitness_of(fitness, state, [0, 1, 2])[:, 0].tolist() == [1.0, 1.0, 0.25]


def test_oort_cuts_outliers_at_the_quantile():
    told = [report(i, [0], loss=[loss], num_examples=10) for i, loss in enumerate([1.0, 1.0, 1.0, 1000.0])]
    fitness, state = oort_of([told], clip=0.5, staleness=0.0)
    assert fitness_of(fitness, state, range(4))[:, 0].tolist() == [1.0] * 4


def test_oort_explores_less_and_less_but_never_stops():
    fitness = OortFitness(least_exploration=0.2)
    state = fitness.update(fitness.init(4000, 2), [report(i, [0], num_examples=1) for i in range(4000)])
    shares = []
    for _ in range(60):
        value = fitness_of(fitness, state, range(4000))
        shares.append((value[:, 1] > value[:, 0]).mean())
        state = fitness.update(state, [])
    assert shares[0] == pytest.approx(0.9 * 0.95, abs=0.03)
    assert shares[-1] == pytest.approx(0.2, abs=0.03)


def test_oort_prefers_what_was_long_not_tried():
    fitness, state = oort_of([[report(0, [0], num_examples=5)]] + [[report(0, [1], num_examples=5)]] * 9)
    value = fitness_of(fitness, state, [0])[0]
    assert value[0] > value[1] > value[2] == 0.0


# Optimism


def regret_of(fitness, *, rounds, seed):
    """Return the pseudo-regret of one client that takes the best of 5 experts with unknown accuracies."""
    truth, rng = np.array([0.2, 0.3, 0.4, 0.5, 0.8]), np.random.default_rng(seed)
    state, lost = fitness.init(1, 5), 0.0
    for _ in range(rounds):
        j = int(fitness.fitness(state, np.array([0]), rng=rng)[0].argmax())
        lost += truth.max() - truth[j]
        state = fitness.update(state, [report(0, [j], accuracy=[float(rng.random() < truth[j])])])
    return lost


@pytest.mark.parametrize("method", ["ucb", "thompson"])
def test_optimism_finds_the_best_expert_where_the_average_alone_gets_stuck(method):
    known = {"signal": "accuracy", "discount": 1.0}
    explored = [regret_of(OptimisticFitness(method=method, **known), rounds=300, seed=seed) for seed in range(8)]
    greedy = [regret_of(OptimisticFitness(exploration=0.0, **known), rounds=300, seed=seed) for seed in range(8)]
    assert np.mean(explored) < 0.5 * np.mean(greedy)


def test_what_was_tried_less_is_hoped_for_more():
    fitness = OptimisticFitness(signal="accuracy")
    state = fitness.init(2, 2)
    for _ in range(5):
        state = fitness.update(state, [report(0, [0], accuracy=[0.5])])
    value = fitness_of(fitness, state, [0])[0]
    assert value[1] > value[0]


def test_thompson_draws_anew_and_less_widely_with_every_try():
    fitness = OptimisticFitness(method="thompson", signal="accuracy", discount=1.0)
    state = fitness.init(1, 2)
    for _ in range(99):
        state = fitness.update(state, [report(0, [0], accuracy=[0.5])])
    drawn = np.array([fitness_of(fitness, state, [0], seed)[0] for seed in range(400)])
    assert drawn[:, 0].std() == pytest.approx(drawn[:, 1].std() / 10, rel=0.15)


# Low rank


def world_of_low_rank(num_clients, num_experts, rank, seed):
    rng = np.random.default_rng(seed)
    return np.clip(0.5 + rng.normal(size=(num_clients, rank)) @ rng.normal(size=(rank, num_experts)) * 0.15, 0, 1)


def completed(truth, mask, **parameters):
    fitness = LowRankFitness(signal="accuracy", beta=1.0, **parameters)
    told = [report(i, np.flatnonzero(row), accuracy=truth[i, row]) for i, row in enumerate(mask)]
    return fitness, fitness.update(fitness.init(*truth.shape), told)


def test_unseen_pairs_are_completed_better_than_by_means():
    truth = world_of_low_rank(60, 12, 2, seed=3)
    mask = np.random.default_rng(4).random(truth.shape) < 0.6
    fitness, state = completed(truth, mask, rank=2, ridge=0.05)
    value = fitness_of(fitness, state, range(60))
    np.testing.assert_array_equal(value[mask], truth[mask])
    by_means = np.broadcast_to((truth * mask).sum(axis=0) / mask.sum(axis=0), truth.shape)
    assert np.abs(value - truth)[~mask].mean() < 0.4 * np.abs(by_means - truth)[~mask].mean()


def test_where_nothing_is_known_completion_falls_back_to_levels_and_to_the_prior():
    fitness = LowRankFitness(rank=1, prior=0.4, signal="accuracy")
    assert (fitness_of(fitness, fitness.init(3, 2), [0, 2]) == 0.4).all()
    truth = np.array([[0.9, 0.1, 0.5], [0.8, 0.2, 0.5]])
    fitness, state = completed(truth, np.array([[True, True, False]] * 2), rank=1)
    joined = fitness_of(fitness, state.grow(3), [2])[0]
    assert joined[0] > joined[2] > joined[1]
    assert joined[2] == pytest.approx(truth[:, :2].mean())


def test_completion_does_not_care_in_which_order_clients_are_numbered():
    truth = world_of_low_rank(20, 6, 2, seed=5)
    mask = np.random.default_rng(6).random(truth.shape) < 0.5
    order = np.random.default_rng(7).permutation(20)
    values = [fitness_of(*completed(truth[rows], mask[rows]), range(20)) for rows in (np.arange(20), order)]
    np.testing.assert_allclose(values[0][order], values[1], atol=1e-9)


# Clusters


def test_clusters_find_the_domains_in_profiles_that_hardly_differ():
    """Two domains; all routers prefer expert 0. Top choices do not separate the domains, profiles do."""
    rng = np.random.default_rng(0)
    domain = np.arange(20) % 2
    profile = np.array([[0.6, 0.4], [0.57, 0.43]])[domain] + 0.004 * rng.normal(size=(20, 2))
    fitness = ClusterFitness()
    state = fitness.update(fitness.init(21, 2), [report(i, router_mass=profile[i]) for i in range(20)])
    value = fitness_of(fitness, state, range(21))
    assert (value[:20].argmax(axis=1) == domain).all()
    assert (value[20] == 0.5).all()


def test_clusters_keep_their_names_from_round_to_round():
    rng = np.random.default_rng(1)
    domain, fitness = np.arange(24) % 4, ClusterFitness()
    state, first = fitness.init(24, 4), None
    for _ in range(6):
        mass = 0.6 * np.eye(4)[domain] + 0.4 * rng.dirichlet(np.ones(4), size=24)
        state = fitness.update(state, [report(i, router_mass=mass[i]) for i in range(24)])
        chosen = fitness_of(fitness, state, range(24)).argmax(axis=1)
        first = chosen if first is None else first
        assert (chosen == domain).mean() > 0.9
    assert (first == domain).mean() > 0.9


@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 100))
def test_members_are_balanced_and_no_swap_brings_them_closer(num_clients, num_experts, seed):
    closeness = np.random.default_rng(seed).random((num_clients, num_experts))
    members = balanced_members(closeness)
    sizes = np.bincount(members, minlength=num_experts)
    assert sizes.max() - sizes.min() <= 1
    gain = closeness[np.arange(num_clients), members]
    swapped = closeness[:, members]  # (i, k): client i in the place of client k
    assert (swapped + swapped.T <= gain[:, None] + gain[None, :] + 1e-9).all()


# Affinity


def test_affinity_compares_clients_for_each_expert():
    fitness = AffinityFitness()
    state = fitness.update(fitness.init(2, 2), [report(0, router_mass=[0.8, 0.2]), report(1, router_mass=[0.4, 0.6])])
    np.testing.assert_allclose(fitness_of(fitness, state, [0, 1]), [[1.0, 1 / 3], [0.5, 1.0]])


# The choice of alignment by the evidence


def rounds_of(gate, mass_of, *, num_clients=40, num_experts=8, rounds=12, seed=0, cohort=1.0):
    rng = np.random.default_rng(seed)
    state = gate.init(num_clients, num_experts)
    for number in range(1, rounds + 1):
        clients = np.sort(rng.choice(num_clients, round(cohort * num_clients), replace=False))
        state = gate.update(state, [report(int(i), router_mass=mass_of(rng, i)) for i in clients])
        if state.is_open:
            return number
    return None


def test_the_gate_opens_within_rounds_where_clients_differ():
    def mass_of(rng, i):
        return 0.6 * rng.dirichlet(np.ones(8)) + 0.4 * np.eye(8)[i % 8]

    assert rounds_of(GatedFitness(), mass_of) == 2
    assert rounds_of(GatedFitness(), mass_of, cohort=0.25) <= 6


def test_noise_opens_the_gate_in_none_of_forty_runs():
    opened = [
        rounds_of(GatedFitness(strength=0.0), lambda rng, i: rng.dirichlet(np.ones(3)), num_clients=n, num_experts=3,
                  rounds=15, seed=seed)
        for n in (6, 20) for seed in range(20)
    ]  # fmt: skip
    assert opened == [None] * 40


def test_alike_clients_with_finite_data_agree_but_are_not_different_enough():
    data = np.random.default_rng(1).multinomial(50, np.full(8, 1 / 8), size=40) / 50

    def mass_of(rng, i):
        return data[i]

    assert rounds_of(GatedFitness(strength=0.0), mass_of) is not None
    assert rounds_of(GatedFitness(), mass_of) is None


def test_agreement_is_in_standard_deviations_over_all_permutations():
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(30, 4)), rng.normal(size=(30, 4))
    second += 0.5 * first
    agreement, _ = evidence_of(first, second)
    a, b = first - first.mean(axis=0), second - second.mean(axis=0)
    permuted = np.array([(a * b[rng.permutation(30)]).sum() for _ in range(4000)])
    assert agreement == pytest.approx((a * b).sum() / permuted.std(), rel=0.05)
    assert permuted.mean() == pytest.approx(0.0, abs=4 * permuted.std() / 4000**0.5)


def test_a_gate_that_opened_closes_when_clients_become_alike():
    gate = GatedFitness(evidence=RouterFitness(beta=1.0, scaling="none"))
    rng, state, seen = np.random.default_rng(0), gate.init(40, 4), []
    for number in range(12):
        mass = np.eye(4)[np.arange(40) % 4] if number < 4 else rng.dirichlet(np.ones(4), size=40)
        state = gate.update(state, [report(i, router_mass=mass[i]) for i in range(40)])
        seen.append(state.is_open)
    assert seen[3]
    assert not seen[-1]
    closed = fitness_of(gate, state, range(40), seed=1), fitness_of(gate, state, range(40), seed=2)
    assert not np.array_equal(*closed)  # a lottery


def need_of(accuracies, **parameters):
    fitness = NeededFitness(**parameters)
    state = fitness.init(4, 2)
    for accuracy in accuracies:
        told = [
            report(i, [0, 1], usage=[0.5, 0.5], accuracy=[accuracy, accuracy], loss=[1 - accuracy] * 2,
                   router_mass=[0.9, 0.1])
            for i in range(4)
        ]  # fmt: skip
        state = fitness.update(state, told)
    return fitness, state


def test_clients_that_do_well_with_whatever_they_get_need_no_alignment():
    fitness, state = need_of([0.3, 0.8, 0.9, 0.95, 0.97])
    assert not state.is_open
    assert not np.array_equal(fitness_of(fitness, state, [0], 1), fitness_of(fitness, state, [0], 2))


@pytest.mark.parametrize("measure", ["accuracy", "loss"])
def test_clients_that_stay_bad_are_aligned_from_the_fifth_round_on_and_for_good(measure):
    for rounds, is_open in ((1, False), (4, False), (5, True), (6, True)):
        assert need_of([0.2, 0.3, 0.3, 0.4, 0.5, 0.5][:rounds], measure=measure)[1].is_open is is_open
    fitness, state = need_of([0.2, 0.3, 0.3, 0.4, 0.5, 0.9, 0.99], measure=measure)
    assert state.is_open
    assert fitness_of(fitness, state, [0]).tolist() == [[1.0, 0.0]]


def test_rounds_in_which_nothing_was_measured_do_not_count():
    fitness = NeededFitness(after=1)
    state = fitness.init(2, 2)
    silent = report(0, [1], usage=[0.0], loss=[np.nan], accuracy=[np.nan], router_mass=[0.5, 0.5])
    for told in ([], [Report(0, [0], outcome="dropped")], [silent]):
        state = fitness.update(state, told)
    assert (state.rounds, state.is_open) == (0, False)


# What a prior is


@pytest.mark.parametrize("prior", [0, 1])
def test_a_prior_that_is_a_whole_number_learns_like_any(prior):
    estimator = LossFitness(prior=prior, beta=0.5)
    state = estimator.update(estimator.init(1, 2), [report(experts=(1,), loss=np.array([0.1]))])
    expected = 0.5 * prior + 0.5 * np.exp(-0.1)
    assert fitness_of(estimator, state, [0])[0].tolist() == pytest.approx([prior, expected])
