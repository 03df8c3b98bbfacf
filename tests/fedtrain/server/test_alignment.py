"""Every key of a configuration's ``alignment`` section has its documented effect on a run."""

import itertools

import numpy as np
import pytest

from alignsolve import Aligner
from alignsolve.estimate import Advice
from fedtrain.config import ConfigError
from fedtrain.config.file import read_config
from fedtrain.server import initial_state, prepare
from fedtrain.server.alignment import declared_capacity
from fedtrain.server.rounds import run_rounds
from fedtrain.server.simulated_clients import fresh_masses

SMALL = ("clients.num_clients=12", "rounds=4", "training.epochs=1", "training.together=true", "clients.dropout=0.0")


def federation_of(*overrides):
    return prepare(read_config(overrides=[*SMALL, *overrides]))


def rounds_of(federation):
    return [done for done, _ in run_rounds(federation, initial_state(federation))]


def held(done):
    """Return whether each client is assigned each expert, (cohort, experts)."""
    return done.solution.x


def test_uniform_capacity_overloads_small_devices():
    told, uniform = federation_of(), federation_of("alignment.capacity=uniform")
    assert len({int(n) for n in held(rounds_of(told)[0]).sum(axis=1)}) > 1
    done = rounds_of(uniform)[0]
    declared = declared_capacity(told.fleet, told.footprint)
    capacity, _ = declared.capacity(declared.init(12, 8), np.arange(12))
    assert set(held(done).sum(axis=1)) == {round(float(np.minimum(capacity, 8).mean()))}
    assert done.row.out_of_memory == int((held(done).sum(axis=1) > capacity).sum()) > 0


def test_learned_capacity_stops_trusting_who_claims_too_much():
    lies = ("clients.misreporting=0.5", "clients.exaggeration=3.0")
    failures = {
        name: [done.row.out_of_memory for done in rounds_of(federation_of(*lies, f"alignment.capacity={name}"))]
        for name in ("declared", "learned")
    }
    assert failures["declared"] == [failures["declared"][0]] * 4
    assert failures["declared"][0] == failures["learned"][0] > failures["learned"][3]


def test_a_switching_cost_keeps_experts_where_they_are():
    moved = {}
    for cost in (0.0, 5.0):
        every = [held(done) for done in rounds_of(federation_of(f"alignment.switching_cost={cost}"))]
        moved[cost] = sum(int((after & ~before).sum()) for before, after in itertools.pairwise(every))
    assert moved[5.0] < moved[0.0]


def test_a_time_budget_keeps_clients_within_the_deadline():
    slow = "clients.tiers=[{name='slow', share=1, memory_kib=950, ms_per_example=3.0, down_mbps=2, up_mbps=1}]"
    late, given = {}, {}
    for budget in ("false", "true"):
        done = rounds_of(federation_of(slow, "clients.deadline=2.5", f"alignment.time_budget={budget}"))[0]
        late[budget], given[budget] = done.row.late, int(held(done).sum())
    assert late["true"] < late["false"]
    assert 0 < given["true"] < given["false"]


def test_coverage_and_usage_are_kept_even_instead_of_assignments():
    told = {
        load: [held(done) for done in rounds_of(federation_of(f"alignment.load={load}", "alignment.fitness=router"))]
        for load in ("assignments", "usage", "coverage")
    }
    assert not np.array_equal(told["assignments"], told["usage"])
    assert (np.array(told["coverage"]).sum(axis=1).min(axis=1) >= 1).all()


def test_noise_reaches_what_is_learned_and_fades_as_epsilon_grows():
    def learned(epsilon):
        federation = federation_of(f"alignment.epsilon={epsilon}", "alignment.fitness=router")
        _, state = next(run_rounds(federation, initial_state(federation)))
        rng = np.random.default_rng(0)
        return federation.aligner.fitness.fitness(state.aligner.fitness, np.arange(12), rng=rng)

    plain, noised, hardly = learned("inf"), learned("0.5"), learned("1e12")
    assert np.abs(noised - plain).max() > 0.05
    np.testing.assert_allclose(hardly, plain, atol=1e-3)


def test_a_goal_advises_on_the_auxiliary_loss_and_needs_ours(monkeypatch):
    free = [done.row.accuracy for done in rounds_of(federation_of("training.auxiliary_loss=0.0", "rounds=2"))]
    pulled = ("training.auxiliary_loss=0.5", "rounds=2")
    assert [done.row.accuracy for done in rounds_of(federation_of(*pulled))] != free
    monkeypatch.setattr(Aligner, "advice", lambda *_: Advice(np.ones(8, dtype=bool), pull=False, verdict="none"))
    assert [done.row.accuracy for done in rounds_of(federation_of(*pulled))] == free
    monkeypatch.undo()
    federation = federation_of("alignment.goal=global", "rounds=7")
    *_, (done, last) = run_rounds(federation, initial_state(federation))
    assert all(report.geometry is not None for report in done.reports)
    assert federation.aligner.advice(last.aligner).verdict == "clients agree"
    assert not federation.aligner.advice(last.aligner).pull
    with pytest.raises(ConfigError, match=r"alignment\.goal.*none unless policy is ours"):
        federation_of("alignment.goal=global", "alignment.policy=random")
    with pytest.raises(ConfigError, match=r"alignment\.fresh_masses.*false without a goal"):
        federation_of("alignment.fresh_masses=true")


def test_fresh_masses_cost_their_bytes_and_are_those_of_the_current_model():
    plain, fresh = (rounds_of(federation_of(f"alignment.policy={name}"))[:2] for name in ("fedamole", "fedamole-fresh"))
    sizes = [[one.bytes_up for one in done[0].reports] for done in (plain, fresh)]
    held = [[len(one.experts) for one in done[0].reports] for done in (plain, fresh)]
    by_number = dict(zip(held[0], sizes[0], strict=True))
    assert all(size == by_number[number] + 4 * 8 for number, size in zip(held[1], sizes[1], strict=True))
    federation = federation_of("alignment.policy=fedamole-fresh")
    start = initial_state(federation)
    told = fresh_masses(federation, start.tensors, np.arange(12))
    for report in fresh[0].reports:  # what it reports after the round was measured before it trained, too
        np.testing.assert_allclose(told[report.client], report.router_mass, atol=1e-6)
    big = "clients.tiers=[{name='big', share=1, memory_kib=99000, ms_per_example=1, down_mbps=9, up_mbps=9}]"
    layered = ("model.kind=transformer", "data.name=text", "training.together=false", big)
    with pytest.raises(ConfigError, match="fresh router masses, which a client can compute only where the experts"):
        federation_of("alignment.policy=fedamole-fresh", *layered)


def test_the_oracle_is_told_the_true_domains():
    federation = federation_of("alignment.policy=oracle", "data.name=concepts")
    assert np.array_equal(federation.aligner.fitness.mixture, federation.data.mixture)
    assert len(rounds_of(federation)) == 4
