"""The policies: the distinctive property of each, and the client bounds that all must keep."""

from dataclasses import replace

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
from tests.made_reports import Made
from tests.rounds import completed_loads, reports_of, variation

CAPACITY = np.resize([1, 2, 1, 3], 12)
DOMAINS = np.eye(3)[np.arange(12) % 3]
PARTS = Parts(capacity=CapacityProfiler(client_capacity=CAPACITY), fitness=RouterFitness(), domains=DOMAINS)


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
    parts = Parts(CapacityProfiler(client_capacity=5), RouterFitness(), budget=budget, layers=(2, 2), domains=DOMAINS,
                  privacy=Privacy(epsilon=5.0, release=("router_mass", "pairs")))  # fmt: skip
    alignments, _ = rounds_of(name, rounds=3, parts=parts)
    assert (alignments[:, :, :2].any(axis=2) & alignments[:, :, 2:].any(axis=2)).all()
    tight = Parts(
        CapacityProfiler(client_capacity=5), domains=DOMAINS, budget=TimeBudget(deadline=2.0, expert_seconds=1.0)
    )
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
    parts = Parts(PARTS.capacity, PARTS.fitness, domains=DOMAINS, switching=SwitchingCost(1.0, 0.5))
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


def judged(parts, made, rounds, policy="ours", **how):
    """Return the aligner, its state, and the last alignment of rounds with made reports."""
    aligner = POLICIES[policy](parts, **how)
    state = aligner.init(len(made.domains), made.num_experts)
    for number in range(rounds):
        solution, state = aligner.align(state, np.arange(len(made.domains)))
        held = [np.flatnonzero(row) for row in solution.x]
        reports = [
            replace(one, experts=held[one.client], usage=np.ones(len(held[one.client])), loss=one.loss.repeat(len(own)),
                    accuracy=one.accuracy.repeat(len(own)))
            for one, own in zip(made.reports(number), held, strict=True)
        ]  # fmt: skip
        state = aligner.observe(state, reports)
    return aligner, state, aligner.align(state, np.arange(len(made.domains)))[0]


@pytest.mark.parametrize("goal", ["global", "personal"])
def test_ours_is_a_balanced_lottery_once_clients_are_found_to_agree(goal):
    made = Made(np.arange(24) % 4, conflict=False)
    parts = Parts(CapacityProfiler(client_capacity=np.resize([1, 2], 24)))
    aligner, state, ours = judged(parts, made, 7, goal=goal)
    assert aligner.advice(state).verdict == "clients agree"
    assert not aligner.advice(state).pull
    assert aligner.advice(state).bounded.all()
    assert variation(ours.loads) <= 0.12
    again = aligner.align(replace(state, round=state.round + 1), np.arange(24))[0]
    assert (again.x != ours.x).any()  # drawn anew


def test_ours_serves_hidden_domains_by_their_own_experts_if_the_goal_is_personal():
    made = Made(np.arange(24) % 3, num_experts=3)
    parts = Parts(CapacityProfiler(client_capacity=2))
    aligner, state, served = judged(parts, made, 11, goal="personal")
    assert aligner.advice(state).verdict == "domains are hidden"
    assert not aligner.advice(state).bounded.any()
    experts = [set(np.flatnonzero(row)) for row in served.x]
    assert all(len(own) == 1 for own in experts)  # fewer than the capacity of two
    for domain in range(3):
        assert len(set.union(*(experts[i] for i in range(24) if made.domains[i] == domain))) == 1
    aligner, state, drawn = judged(parts, made, 11, goal="global")
    assert aligner.advice(state).bounded.all()
    assert drawn.x.sum() == 48
    assert variation(drawn.loads) <= 0.1


def test_ours_aligns_domains_that_routers_come_to_see():
    made = Made(np.arange(24) % 4, visible=8.0)
    aligner, state, solution = judged(Parts(CapacityProfiler(client_capacity=1)), made, 10, goal="global")
    assert aligner.advice(state).verdict == "domains are visible"
    for domain in range(4):  # a domain's six clients share one expert, within the bounds
        loads = solution.x[made.domains == domain].sum(axis=0)
        assert loads.max() >= 5


def test_without_single_updates_ours_reads_router_masses_alone():
    for goal in ("global", "personal"):
        aligner = POLICIES["ours"](PARTS, goal=goal, sees="sums")
        assert not aligner.uses_geometry
    assert POLICIES["ours"](PARTS, goal="global").uses_geometry
    assert not POLICIES["ours"](PARTS).uses_geometry
    for how, told in (({"goal": "luck"}, "goal is 'luck'"), ({"goal": "global", "sees": "all"}, "sees is 'all'")):
        with pytest.raises(ValueError, match=told):
            POLICIES["ours"](PARTS, **how)


def test_fresh_masses_decide_the_next_round():
    """Client i's last report preferred expert 0; the probe says expert (i mod 4)."""
    for aligner in (
        POLICIES["fedamole-fresh"](PARTS, fewest=1),
        POLICIES["ours"](Parts(PARTS.capacity, RouterFitness(), LoadMonitor(catch_up=0.0)), fresh=True),
    ):
        assert aligner.fresh_masses
        state = aligner.observe(aligner.init(12, 4), [popular(i) for i in range(12)])
        masses = {i: np.full(4, 0.1) + 0.6 * (np.arange(4) == i % 4) for i in range(12)}
        solution, _ = aligner.align(aligner.probe(state, masses), np.arange(12))
        assert (solution.x[np.arange(12), np.arange(12) % 4]).all()
        for wrong, told in (({12: masses[0]}, "router masses name client 12, there are 0..11"),
                            ({3: masses[0][:2]}, r"router mass of client 3 has shape \(2,\); it must be \(4,\)"),
                            ({3: -masses[0]}, "report of client 3: router_mass must be finite")):  # fmt: skip
            with pytest.raises(ValueError, match=told):
                aligner.probe(state, wrong)
    private = POLICIES["fedamole-fresh"](Parts(PARTS.capacity, privacy=Privacy(epsilon=5.0, release=("router_mass",))))
    with pytest.raises(ValueError, match="fresh router masses would have no noise"):
        private.probe(private.init(2, 2), {0: [0.5, 0.5]})


def test_probes_of_layers_reach_each_layer():
    aligner = POLICIES["fedamole-fresh"](Parts(CapacityProfiler(client_capacity=2), layers=(2, 2)), fewest=2)
    state = aligner.probe(aligner.init(2, 4), {0: [0.9, 0.1, 0.2, 0.8], 1: [0.1, 0.9, 0.8, 0.2]})
    assert aligner.align(state, [0, 1])[0].x.astype(int).tolist() == [[1, 0, 0, 1], [0, 1, 1, 0]]


def test_the_oracle_knows_domains_and_says_what_it_needs():
    solution, _ = (aligner := POLICIES["oracle"](PARTS)).align(aligner.init(12, 4), np.arange(12))
    one = [i for i in range(12) if CAPACITY[i] == 1]
    held = {domain: {int(solution.x[i].argmax()) for i in one if i % 3 == domain} for domain in range(3)}
    assert sum(len(experts) for experts in held.values()) <= 4
    assert not held[1] & held[2]
    with pytest.raises(ValueError, match=r"oracle needs the clients' true domains: give Parts\(domains="):
        POLICIES["oracle"](Parts())


def test_owners_keep_their_experts_and_hfedmoe_takes_what_its_router_prefers():
    alignments, _ = rounds_of("spes", rounds=4)
    assert (alignments == alignments[0]).all()
    assert alignments[0].sum(axis=0).min() > 0
    assert first_alignment("hfedmoe").loads[0] == 12


def test_fedamole_with_our_gate_is_a_lottery_while_clients_agree():
    parts = Parts(CapacityProfiler(client_capacity=1))
    aligner, state, _ = judged(parts, Made(np.arange(24) % 4, conflict=False, visible=9.0), 6, policy="fedamole-gated")
    assert not state.fitness.in_use
    aligner, state, solution = judged(parts, Made(np.arange(24) % 4, visible=9.0), 6, policy="fedamole-gated")
    assert aligner.advice(state).pull
    assert (solution.x[np.arange(24), np.arange(24) % 4]).all()
