"""Private reports: the promised noise, the counted privacy loss, and the regret that noise costs."""

import math

import numpy as np
import pytest

from alignsolve import (
    Aligner,
    AlignmentProblem,
    CapacityProfiler,
    LoadMonitor,
    LossFitness,
    Outcome,
    Privacy,
    Report,
    RouterFitness,
    solve,
)
from alignsolve.estimate.privacy import privatize

ROUTER = ("router_mass",)


def report(client=0, experts=(0, 1), **changes):
    size = len(experts)
    measures = {"usage": np.ones(size), "loss": np.ones(size), "accuracy": np.full(size, 0.5), "num_examples": 5}
    return Report(client, experts, **(measures | {"router_mass": [0.25, 0.25, 0.5]} | changes))


def noised(privacy, told, *, times=4000):
    rng = np.random.default_rng(0)
    return [privatize([told], privacy, rng=rng)[0] for _ in range(times)]


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_router_mass_gets_noise_of_the_promised_scale_and_no_bias_within_a_client(mechanism):
    privacy = Privacy(epsilon=20.0, mechanism=mechanism, release=ROUTER)
    mass = np.array([told.router_mass for told in noised(privacy, report())])
    assert (mass >= 0).all()
    difference = mass[:, 2] - mass[:, 0]
    variance = {"gaussian": 1.0, "laplace": 2.0}[mechanism] * privacy.noise(2) ** 2
    assert difference.var() == pytest.approx(2 * variance, rel=0.1)
    assert difference.mean() == pytest.approx(0.25, abs=4 * (2 * variance / 4000) ** 0.5)


def test_the_laplace_mechanism_keeps_its_epsilon_on_what_was_counted():
    """The definition: no event is more than e^epsilon times as likely for one data set as for the opposite one."""
    privacy = Privacy(epsilon=1.0, mechanism="laplace", release=ROUTER)
    ones = [told.router_mass for told in noised(privacy, report(router_mass=[1.0, 0.0, 0.0]), times=5000)]
    others = [told.router_mass for told in noised(privacy, report(router_mass=[0.0, 1.0, 0.0]), times=5000)]
    for threshold in (-3.0, 0.0, 3.0):
        likely, unlikely = (np.mean([mass[0] - mass[1] > threshold for mass in masses]) for masses in (ones, others))
        assert likely <= math.exp(1.0) * unlikely * 1.25
        assert likely > unlikely


def test_what_is_not_released_is_left_out():
    told = privatize([report()], Privacy(epsilon=1.0, release=ROUTER), rng=np.random.default_rng(0))[0]
    assert told.usage.tolist() == [0.0, 0.0]
    assert np.isnan(told.loss).all()
    assert told.num_examples == 5
    told = privatize([report()], Privacy(epsilon=1.0, release=("pairs",)), rng=np.random.default_rng(0))[0]
    assert told.router_mass is None
    assert np.isfinite(told.loss).all()


def test_measures_are_clipped_before_and_after_the_noise():
    privacy = Privacy(epsilon=1e9, mechanism="laplace", loss_clip=2.0)
    told = privatize([report(loss=[50.0, -3.0], usage=[30.0, 10.0])], privacy, rng=np.random.default_rng(0))[0]
    np.testing.assert_allclose(told.loss, [2.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(told.usage, [0.75, 0.25], atol=1e-6)
    loud = noised(Privacy(epsilon=0.1, release=("pairs",), loss_clip=2.0), report(), times=50)
    assert all(((told.loss >= 0) & (told.loss <= 2.0) & (told.usage >= 0) & (told.usage <= 1)).all() for told in loud)


def test_reports_that_did_not_complete_pass_and_cost_nothing():
    aligner = Aligner(RouterFitness(), privacy=Privacy(epsilon=1.0))
    gone = Report(1, [0], outcome=Outcome.DROPPED)
    state = aligner.observe(aligner.init(3, 3), [report(0), gone])
    assert state.privacy.releases.tolist() == [1, 0, 0]
    with pytest.raises(ValueError, match="client 2: there is no router_mass to release"):
        aligner.observe(state, [report(2, router_mass=None)])


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_epsilon_composes_over_rounds(mechanism):
    privacy = Privacy(epsilon=0.5, delta=1e-6, mechanism=mechanism)
    spent = [privacy.spent(rounds) for rounds in range(1, 400)]
    assert spent[0] == pytest.approx(0.5)
    assert (np.diff(spent) > 0).all()
    assert all(one <= 0.5 * rounds + 1e-9 for rounds, one in enumerate(spent, 1))
    assert spent[-1] < 0.5 * 399 * 0.6  # composed, not added


def test_gaussian_noise_is_enough_by_the_exact_condition():
    """Balle and Wang (ICML 2018, theorem 8): the smallest delta of Gaussian noise, compared with the claimed one."""
    privacy = Privacy(epsilon=1.0, delta=1e-5, release=ROUTER)
    length = math.sqrt(2.0)  # router mass alone
    a, b = length / (2 * privacy.noise(0)), privacy.epsilon * privacy.noise(0) / length

    def below(z):
        return 0.5 * math.erfc(-z / math.sqrt(2))

    assert below(a - b) - math.exp(privacy.epsilon) * below(-a - b) <= 1e-5


def regret_at(epsilon, *, seed, rounds=12):
    """Return the lost share of the optimal fitness after some rounds; all clients report their true router mass."""
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(np.full(4, 0.3), size=24)
    fitness = RouterFitness(beta=0.1, scaling="none")
    privacy = None if epsilon is None else Privacy(epsilon=epsilon, mechanism="laplace", release=ROUTER)
    aligner = Aligner(fitness, LoadMonitor(catch_up=0.0), CapacityProfiler(client_capacity=1), privacy=privacy)
    state = aligner.init(24, 4, seed=seed)
    for _ in range(rounds):
        state = aligner.observe(state, [report(i, [0], router_mass=truth[i]) for i in range(24)])
    solution, _ = aligner.align(state, np.arange(24))
    problem = AlignmentProblem(truth, client_demand=1, expert_capacity=6)
    return 1.0 - problem.objective(solution.assigned) / solve(problem).objective


def test_less_privacy_costs_less_regret_and_none_costs_none():
    regrets = {
        epsilon: np.mean([regret_at(epsilon, seed=seed) for seed in range(4)]) for epsilon in (0.1, 2.0, 20.0, None)
    }
    assert regrets[None] == pytest.approx(0.0, abs=1e-5)
    assert regrets[20.0] < 0.1 < regrets[2.0] < regrets[0.1]
    assert regrets[0.1] > 0.4  # about what chance loses


def test_noise_differs_from_round_to_round_and_is_repeated_by_the_seed():
    aligner = Aligner(LossFitness(), privacy=Privacy(epsilon=5.0, release=("pairs",)))

    def learned(seed):
        state, seen = aligner.init(1, 3, seed=seed), []
        for _ in range(2):
            state = aligner.observe(state, [report(0, usage=[1.0, 1.0])])
            seen.append(state.fitness.value[0, 0])
        return seen

    assert learned(1) == learned(1)
    assert learned(1) != learned(2)
