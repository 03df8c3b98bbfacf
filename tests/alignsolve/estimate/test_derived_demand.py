"""Demands derived from a wished variance, and the fitness of a client's type."""

import numpy as np
import pytest

from alignsolve import (
    Aligner,
    CapacityProfiler,
    CoverageLoad,
    DerivedDemand,
    HolderVariance,
    LoadMonitor,
    OptimisticFitness,
    Outcome,
    Report,
    TypeFitness,
    load_state,
    save_state,
)

FREE = CoverageLoad(LoadMonitor(tolerance=np.inf), prior_rate=0.0)


def test_the_variance_of_a_holder_is_the_sum_of_its_parts():
    parts = {
        "sampling": ({"sampling": 0.25}, 0.25),
        "fading": ({"fading": 0.5, "size": 2.0}, 2.0),
        "channel": ({"noise": 3.0, "power": 4.0}, 2.25),
        "privacy": ({"privacy": 0.5}, 0.25),
        "bits": ({"bits": 2, "span": 6.0}, 4.0 / 12.0),
    }
    everything = {}
    for given, variance in parts.values():
        assert HolderVariance(**given).total == pytest.approx(variance)
        everything |= given
    assert HolderVariance(**everything).total == pytest.approx(sum(variance for _, variance in parts.values()))


def test_holders_are_as_many_as_the_wish_needs_and_more_where_some_drop_out():
    one = HolderVariance(noise=1.0)
    assert [DerivedDemand(one, wished, FREE).needed for wished in (2.0, 1.0, 0.5, 0.3, 0.1)] == [1, 1, 2, 4, 10]
    # Three must report, and each fails with ½: of 8 holders at most two report with 37/256; of 11 with 67/2048.
    unsure = DerivedDemand(one, 1 / 3, CoverageLoad(prior_rate=0.5, risk=0.05))
    assert unsure.holders(unsure.init(9, 2)) == 11.0
    assert DerivedDemand(one, 1 / 3, CoverageLoad(prior_rate=0.5, risk=0.15)).holders(unsure.init(9, 2)) == 8.0
    # Failures are learned.
    reports = [Report(client, [0], outcome=Outcome.DROPPED) for client in range(9)]
    assert unsure.holders(unsure.update(unsure.init(9, 2), reports)) > 11.0


def test_an_aligner_gives_every_expert_the_derived_holders():
    demand = DerivedDemand(HolderVariance(noise=1.0), 0.34, FREE)
    capacity = CapacityProfiler(client_capacity=1)
    aligner = Aligner(fitness=OptimisticFitness(), load=demand, capacity=capacity)
    solution, _ = aligner.align(aligner.init(9, 3), np.arange(9))
    assert solution.loads.tolist() == [3.0, 3.0, 3.0]


def test_the_wish_is_met_when_noise_is_drawn():
    """The variance of a mean over holders follows 1/holders, and the derived demand keeps it below the wish."""
    rng = np.random.default_rng(3)
    for wished in (0.5, 0.1, 0.02):
        variance = HolderVariance(noise=0.8, power=2.0, privacy=0.3, sampling=0.1)
        holders = DerivedDemand(variance, wished, FREE).needed
        returned = rng.normal(scale=np.sqrt(variance.total), size=(holders, 40_000)).mean(axis=0)
        assert returned.var() == pytest.approx(variance.total / holders, rel=0.05)
        assert returned.var() < 1.05 * wished


def test_what_has_no_variance_is_refused():
    with pytest.raises(ValueError, match=r"alpha is 1\.5: such noise has no finite variance"):
        HolderVariance(noise=1.0, alpha=1.5)
    for field in ("noise", "privacy", "fading"):
        for wrong in (-1.0, np.nan, np.inf):
            with pytest.raises(ValueError, match=f"{field} is"):
                HolderVariance(**{field: wrong})
    for wished in (0.0, np.nan):
        with pytest.raises(ValueError, match="wished is"):
            DerivedDemand(HolderVariance(), wished)
    with pytest.raises(ValueError, match="bits is 0; it must be a whole number, 1 or more"):
        HolderVariance(bits=0)


def test_what_a_client_of_a_type_shows_counts_for_all_of_them(tmp_path):
    fitness = TypeFitness([1, 0, 1, 1, 0], OptimisticFitness(exploration=0.0, discount=1.0, prior=0.0))
    aligner = Aligner(fitness=fitness, capacity=CapacityProfiler(client_capacity=1))
    state = aligner.init(3, 2)
    seen = [Report(0, [0], [1.0], [0.0], [1.0], num_examples=5), Report(2, [0], [1.0], [0.0], [1.0], num_examples=5)]
    state = aligner.observe(state, seen).grow(5)
    save_state(tmp_path / "state.npz", state, aligner)
    for known in (state, load_state(tmp_path / "state.npz", aligner)):
        learned = fitness.fitness(known.fitness, np.arange(5), rng=np.random.default_rng(0))
        assert learned[[0, 2, 3], 0].tolist() == [pytest.approx(2 / 3)] * 3  # both reports count; 3 is a newcomer
        assert not learned[[1, 4]].any()
    again = aligner.observe(aligner.init(3, 2), seen[::-1]).grow(5)
    assert np.array_equal(again.fitness.inner.total, state.fitness.inner.total)
    with pytest.raises(ValueError, match="types names 5 clients, and there are 6"):
        fitness.fitness(state.fitness.grow(6), np.arange(6), rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="types must be a whole number"):
        TypeFitness([0.5], OptimisticFitness())
