"""Clusters of updates, the gate, the lift and the change test, on made reports whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from alignsolve import (
    AffinityFitness,
    Aligner,
    BipartitionFitness,
    ChangeTest,
    ConflictFitness,
    Geometry,
    LabelAgreement,
    Report,
    RevealedFitness,
    UpdateFitness,
    load_state,
    save_state,
)
from alignsolve.estimate.bipartition import weakest_cut
from alignsolve.estimate.lift import HIDDEN, OPEN, VISIBLE
from alignsolve.estimate.serving import serving
from alignsolve.estimate.state import from_arrays, to_arrays
from tests.made_reports import Made, purity

RNG = np.random.default_rng(0)


def learned(estimator, made, rounds, *, state=None, start=0, clients=None, loss=1.0):
    state = estimator.init(len(made.domains), made.num_experts) if state is None else state
    for number in range(start, start + rounds):
        state = estimator.update(state, made.reports(number, clients, loss))
    return state


@pytest.mark.parametrize("num_domains", [2, 4, 6])
def test_clusters_are_the_domains_be_they_more_or_fewer_than_experts(num_domains):
    made = Made(np.arange(36) % num_domains)
    state = learned(UpdateFitness(), made, 3)
    assert purity(state.clusters, made.domains) == 1.0
    assert len(set(state.clusters.tolist())) == num_domains
    fitness = UpdateFitness().fitness(state, np.arange(36), rng=RNG)
    best = fitness >= fitness.max(axis=1, keepdims=True) - 1e-9
    for one in range(num_domains):  # all clients of a domain have the same best experts
        assert (best[made.domains == one] == best[one]).all()
    served = state.serves[state.size > 0]
    assert served.any(axis=1).all()
    assert served.any(axis=0).all()
    if num_domains <= 4:  # no expert is shared
        assert (served.sum(axis=0) == 1).all()


def test_names_persist_while_clusters_are_made_anew_and_when_a_cluster_is_away():
    made, fitness = Made(np.arange(32) % 4), UpdateFitness()
    state = learned(fitness, made, 1)
    first = state.clusters
    for number in range(1, 9):
        present = np.flatnonzero(made.domains != number % 4) if number % 2 else np.arange(32)
        state = learned(fitness, made, 1, state=state, start=number, clients=present.tolist())
        assert (state.clusters == first).all()


def test_clients_of_whom_nothing_is_known_may_go_anywhere_and_joiners_find_their_cluster():
    made, fitness = Made(np.arange(30) % 3), UpdateFitness()
    state = learned(fitness, made, 8, clients=range(24))
    assert (fitness.fitness(state, np.arange(24, 30), rng=RNG) == 0.5).all()
    assert (state.clusters[24:] == -1).all()
    state = learned(fitness, made, 1, state=state, start=8)
    assert purity(state.clusters, made.domains) == 1.0


def test_clusters_of_a_small_part_of_the_clients_in_each_round_are_right_after_some_rounds():
    made, fitness = Made(np.arange(60) % 4), UpdateFitness(num_clusters=4, young=20)
    state, rng = fitness.init(60, 4), np.random.default_rng(3)
    for number in range(20):
        state = fitness.update(state, made.reports(number, np.sort(rng.choice(60, 10, replace=False)).tolist()))
    known = state.count > 0
    assert purity(state.clusters[known], made.domains[known]) > 0.9


def test_a_round_of_one_client_teaches_nothing():
    made, fitness = Made([0, 1, 0, 1]), UpdateFitness()
    state = fitness.init(4, 4)
    assert fitness.update(state, made.reports(0, [2])) is state


@pytest.mark.parametrize(("size", "num_experts", "seats"), [
    ([6.0, 2.0], 4, [3, 1]),
    ([1.0, 1.0, 1.0], 3, [1, 1, 1]),
    ([0.0, 5.0, 1.0, 1.0], 4, [0, 2, 1, 1]),
])  # fmt: skip
def test_experts_are_divided_by_need(size, num_experts, seats):
    serves = serving(np.array(size), np.eye(len(size)), np.zeros((len(size), num_experts), dtype=bool))
    assert serves.sum(axis=1).tolist() == seats
    again = serving(np.array(size)[::-1], np.eye(len(size)), serves[::-1])
    assert (again == serves[::-1]).all()  # experts stay where they serve


def test_similar_clusters_share_an_expert():
    centre = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    serves = serving(np.ones(3), centre, np.zeros((3, 2), dtype=bool))
    assert (serves[0] == serves[1]).all()
    assert (serves[0] != serves[2]).all()


@pytest.mark.parametrize("conflict", [True, False])
@pytest.mark.parametrize("num_clients", [12, 60])
def test_the_gate_tells_conflict_from_agreement(conflict, num_clients):
    verdicts = []
    for trial in range(5):
        made = Made((np.arange(num_clients) + trial) % 4, conflict=conflict, noise=0.5 + 0.3 * trial)
        gate = LabelAgreement()
        state = learned(gate, made, 3)
        assert not state.conflict  # too early
        state = learned(gate, made, 2, state=state, start=3)
        assert state.agreement < 0.3 if conflict else state.agreement > 0.6
        verdicts.append(state.conflict)
    assert verdicts == [conflict] * 5


def test_the_gate_keeps_its_verdict_where_reports_of_one_client_do_not_agree_either():
    made = Made(np.arange(20) % 4, noise=50.0)
    state = learned(LabelAgreement(), made, 12)
    assert state.within / state.repeats < 0.05
    assert not state.conflict


def test_labels_that_nobody_shares_are_no_evidence():
    def report(client, number):
        head = np.random.default_rng((client, number)).normal(size=(3, 4))
        return Report(client, [0], [1.0], [1.0], [0.5], geometry=Geometry(head, np.arange(3) == client, np.zeros(2)))

    gate = LabelAgreement()
    state = gate.init(3, 2)
    for number in range(6):
        state = gate.update(state, [report(client, number) for client in range(3)])
    assert (state.rounds, state.pairs, state.conflict) == (0, 0.0, False)


def test_routers_that_follow_the_clusters_make_domains_visible():
    made, fitness = Made(np.arange(24) % 4), RevealedFitness()
    state = fitness.begin(learned(fitness, made, 3))
    assert state.verdict == OPEN
    for number in range(3, 10):
        serves = state.clusters.serves[state.clusters.clusters]
        reports = [
            replace(one, router_mass=(0.2 + serves[one.client]) / (0.2 + serves[one.client]).sum())
            for one in made.reports(number)
        ]
        state = fitness.update(state, reports)
    assert state.verdict == VISIBLE
    assert fitness.advice(state).pull
    expected = AffinityFitness().fitness(state.affinity, np.arange(24), rng=RNG)
    assert (fitness.fitness(state, np.arange(24), rng=RNG) == expected).all()
    assert fitness.forget(state, np.arange(24)).verdict == OPEN


def test_without_router_masses_clusters_decide_and_some_without_are_refused():
    made, fitness = Made(np.arange(24) % 4), RevealedFitness()
    state = fitness.init(24, 4)
    for number in range(10):
        bare = [replace(one, router_mass=None) for one in made.reports(number)]
        state = fitness.update(state, bare)
    assert state.verdict == OPEN
    near = fitness.clusters.fitness(state.clusters, np.arange(24), rng=RNG)
    assert (fitness.fitness(state, np.arange(24), rng=RNG) == near).all()
    with pytest.raises(ValueError, match="report of client 0: RouterFitness needs router_mass"):
        fitness.update(state, [bare[0], *made.reports(10)[1:]])


def test_hidden_domains_get_their_own_experts_alone_or_the_lottery():
    made = Made(np.arange(24) % 4)
    fitness = RevealedFitness()
    state = learned(fitness, made, 8)
    assert state.verdict == HIDDEN
    assert state.lift < 1.15
    value = fitness.fitness(state, np.arange(24), rng=RNG)
    serves = state.clusters.serves[state.clusters.clusters]
    assert ((value > 0) == serves).all()
    advice = fitness.advice(state)
    assert not advice.bounded.any()
    assert not advice.pull
    lottery = replace(fitness, serve_hidden=False)
    assert lottery.advice(state).bounded.all()
    assert (lottery.fitness(state, np.arange(24), rng=RNG) >= 0).all()
    joined = fitness.fitness(state.grow(25), np.array([24]), rng=RNG)
    assert (joined > 0).all()  # nothing is known of it


def test_the_change_test_finds_who_changed_and_nobody_else():
    made, test = Made(np.arange(40) % 4), ChangeTest()
    state = test.init(40, 4)
    for number in range(60):  # a loss that falls and wavers is no change
        state, changed = test.tested(state, made.reports(number, loss=2.0 * 0.97**number))
        assert len(changed) == 0
    low = 2.0 * 0.97**59
    swapped = [made.report(i, 60, 3.0 * low if i < 6 else low) for i in range(40)]
    state, changed = test.tested(state, swapped)
    assert changed.tolist() == [0, 1, 2, 3, 4, 5]
    for number in range(61, 70):  # their new level is their level
        state, changed = test.tested(state, [made.report(i, number, 3.0 * low if i < 6 else low) for i in range(40)])
        assert len(changed) == 0


def test_a_conflict_is_used_from_the_first_verdict_on_and_looked_at_again_after_a_change():
    made = Made(np.arange(32) % 4)
    fitness = ConflictFitness(RevealedFitness())
    state = learned(fitness, made, 4)
    assert state.in_use
    assert fitness.advice(state).verdict == "looking whether domains are visible"
    # The conflict vanishes, as when experts take it up: no reason to stop.
    calm = Made(made.domains, conflict=False)
    state = learned(fitness, calm, 8, state=state, start=4)
    assert not state.evidence.conflict
    assert state.in_use
    # The data change: losses jump, and now the verdict counts.
    state = learned(fitness, calm, 1, state=state, start=12, loss=4.0)
    assert state.changes == 1
    assert state.in_use  # until there is evidence
    state = learned(fitness, calm, 5, state=state, start=13, loss=4.0)
    assert not state.in_use
    assert fitness.advice(state).verdict == "clients agree"
    state = learned(fitness, made, 12, state=state, start=18, loss=4.0)
    assert state.in_use


@pytest.mark.parametrize(("conflict", "noise"), [(True, 0.7), (False, 0.7), (False, 50.0)])
def test_a_presumed_conflict_ends_with_the_first_verdict_and_not_before(conflict, noise):
    made = Made(np.arange(32) % 4, conflict=conflict, noise=noise)
    fitness = ConflictFitness(RevealedFitness(), presumed=True)
    state = learned(fitness, made, 3)
    assert state.in_use
    assert fitness.advice(state).verdict == "looking whether clients agree"
    assert fitness.advice(state).pull
    state = learned(fitness, made, 3, state=state, start=3)
    unknown = noise == 50.0  # there is no verdict from noise
    assert (state.in_use, state.judged) == (conflict or unknown, not unknown)


def test_clients_that_swap_their_domains_are_found_by_their_clusters():
    made, fitness = Made(np.arange(32) % 4), ConflictFitness(UpdateFitness())
    state = learned(fitness, made, 8)
    swapped = Made((np.arange(32) // 8 + np.arange(32)) % 4)
    state = learned(fitness, swapped, 3, state=state, start=8, loss=3.0)
    assert state.changes >= 1
    assert purity(state.inner.clusters, swapped.domains) == 1.0


def test_agreeing_clients_get_the_lottery_with_bounds_and_without_auxiliary_loss():
    made, fitness = Made(np.arange(20) % 4, conflict=False), ConflictFitness(RevealedFitness())
    state = learned(fitness, made, 8)
    assert not state.in_use
    drawn = fitness.fitness(state, np.arange(20), rng=np.random.default_rng(5))
    assert (drawn == np.random.default_rng(5).random((20, 4))).all()
    advice = fitness.advice(state)
    assert advice.bounded.all()
    assert not advice.pull


def test_clustered_learning_splits_domains_and_nothing_else():
    made, fitness = Made(np.zeros(24, dtype=int), noise=0.3), BipartitionFitness()

    def reports(number):
        """Half of the clients pull in one direction, half in the opposite one: their common training has stalled."""
        for one in made.reports(number):
            sign = 1.0 if one.client % 2 else -1.0
            moved = Geometry(sign * one.geometry.head, one.geometry.labels, sign * one.geometry.body)
            yield replace(one, geometry=moved)

    state = fitness.init(24, 4)
    for number in range(5):
        assert state.cluster.max() == 0
        state = fitness.update(state, list(reports(number)))
    assert purity(state.cluster, np.arange(24) % 2) == 1.0
    assert sorted(state.serves.sum(axis=1).tolist()) == [0, 0, 2, 2]
    calm = learned(fitness, Made(np.arange(24) % 2, conflict=False, noise=0.3), 8)
    assert calm.cluster.max() == 0
    assert (fitness.fitness(calm, np.arange(24), rng=RNG) == 1.0).all()


def test_the_weakest_cut_is_that_of_all_splits():
    rng = np.random.default_rng(1)
    for _ in range(20):
        raw = rng.normal(size=(6, 3))
        cosine = raw @ raw.T
        splits = [np.array([0, *(number >> k & 1 for k in range(5))], dtype=bool) for number in range(1, 32)]
        least = min(cosine[np.ix_(split, ~split)].max() for split in splits)
        found = weakest_cut(cosine)
        assert cosine[np.ix_(found, ~found)].max() == least


@pytest.mark.parametrize("estimator", [UpdateFitness(), LabelAgreement(), RevealedFitness(), BipartitionFitness()])
def test_reports_that_lack_a_geometry_or_change_its_shape_are_refused_by_name(estimator):
    made = Made(np.arange(6) % 2)
    state = learned(estimator, made, 2)
    bare = [replace(one, geometry=None) for one in made.reports(2)]
    with pytest.raises(ValueError, match=r"report of client 0: \w+ needs geometry, which is None: give Report\(geom"):
        estimator.update(state, bare)
    other = [replace(one, geometry=Geometry(np.ones((2, 2)), [True, False], np.ones(3))) for one in made.reports(2)]
    with pytest.raises(ValueError, match=r"report of client 0: geometry.* has shape .*earlier ones have"):
        estimator.update(state, other)
    with pytest.raises(ValueError, match="report of client 1: geometry has shape"):
        estimator.update(state, [*made.reports(2, [0]), *other[1:]])


def test_a_geometry_without_a_head_has_no_labels_to_compare():
    none = Geometry(np.zeros((0, 0)), np.zeros(0, dtype=bool), np.ones(3))
    bare = [Report(i, [0], [1.0], [1.0], [0.5], geometry=none) for i in range(2)]
    with pytest.raises(ValueError, match=r"client 0: geometry\.head is empty.*name the head in the layout"):
        LabelAgreement().update(LabelAgreement().init(2, 2), bare)
    assert UpdateFitness().update(UpdateFitness().init(2, 2), bare).age == 1


@pytest.mark.parametrize(("fields", "told"), [
    ({"head": np.zeros(3)}, r"geometry: head has shape \(3,\); it must have 2 axes"),
    ({"body": np.full(2, np.nan)}, "geometry: body must be finite"),
    ({"head": np.full((2, 3), 1e31)}, "geometry: head must be finite numbers of size 1e\\+30"),
    ({"labels": [True]}, r"geometry: labels is bool \(1,\); it must be bools, one for each of 2 rows"),
    ({"labels": [1, 0]}, "geometry: labels is int"),
    ({"body": "x"}, "geometry: body"),
])  # fmt: skip
def test_an_impossible_geometry_is_refused(fields, told):
    with pytest.raises(ValueError, match=told):
        Geometry(**({"head": np.zeros((2, 3)), "labels": [True, False], "body": np.zeros(2)} | fields))
    with pytest.raises(ValueError, match="report of client 3: geometry is a dict; it must be a Geometry, or None"):
        Report(3, [0], [1.0], [1.0], [0.5], geometry={})


def test_states_whose_widths_do_not_fit_together_are_refused():
    made, fitness = Made(np.arange(6) % 2), UpdateFitness()
    arrays = to_arrays(learned(fitness, made, 2))
    with pytest.raises(ValueError, match="mean has width 88, centre has 87"):
        from_arrays(fitness.init(6, 4), arrays | {"centre": arrays["centre"][:, :-1]})
    gate = LabelAgreement()
    arrays = to_arrays(learned(gate, made, 2))
    with pytest.raises(ValueError, match="last has 6 labels, held has 5"):
        from_arrays(gate.init(6, 4), arrays | {"held": arrays["held"][:, :-1]})


def test_huge_updates_do_not_overflow_and_zero_updates_are_no_direction():
    made, fitness = Made(np.arange(8) % 2), UpdateFitness()
    reports = made.reports(0)
    huge = Geometry(np.full((6, 8), 1e30), np.ones(6, dtype=bool), np.full(40, -1e30))
    still = Geometry(np.zeros((6, 8)), np.zeros(6, dtype=bool), np.zeros(40))
    told = [replace(reports[0], geometry=huge), replace(reports[1], geometry=still), *reports[2:]]
    for estimator in (fitness, LabelAgreement()):
        state = estimator.update(estimator.init(8, 4), told)
        assert not any(np.isinf(array).any() for array in to_arrays(state).values())


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_a_state_before_any_report_is_read_back_from_a_file(suffix, tmp_path):
    aligner = Aligner(ConflictFitness(RevealedFitness()))
    state = aligner.init(num_clients=3, num_experts=2)
    save_state(tmp_path / f"state{suffix}", state, aligner)
    again = load_state(tmp_path / f"state{suffix}", aligner)
    assert again.to_arrays().keys() == state.to_arrays().keys()
    for name, array in state.to_arrays().items():
        assert np.asarray(again.to_arrays()[name]).dtype == np.asarray(array).dtype, name
        np.testing.assert_array_equal(again.to_arrays()[name], array)
