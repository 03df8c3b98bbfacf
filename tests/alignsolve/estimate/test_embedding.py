"""Embeddings as fitness: what one network learns, whom a newcomer's first report changes, and what is refused."""

import numpy as np
import pytest

from alignsolve import EmbeddingFitness, Report
from alignsolve.estimate.embedding import _Fit

DOMAIN = np.arange(40) % 4


def masses_of(domain, rng):
    return [*(0.5 * np.eye(8)[domain] + 0.5 * rng.dirichlet(np.ones(8), size=len(domain)))]


def told(clients, masses):
    return [Report(int(i), [], router_mass=mass) for i, mass in zip(clients, masses, strict=True)]


def fitness_of(fitness, state, clients):
    return fitness.fitness(state, np.asarray(clients), rng=np.random.default_rng(0))


def learned(fitness, rounds=5):
    """Clients 0 to 29 report in every round; 30 to 39 never do."""
    rng, state = np.random.default_rng(3), fitness.init(40, 8)
    for _ in range(rounds):
        state = fitness.update(state, told(range(30), masses_of(DOMAIN[:30], rng)))
    return state


@pytest.fixture(scope="module")
def plain():
    return learned(EmbeddingFitness())


def test_before_any_report_all_pairs_are_equal_and_later_each_client_has_its_experts(plain):
    fitness = EmbeddingFitness()
    assert (fitness_of(fitness, fitness.init(3, 2), [0, 2]) == 0.5).all()
    assert fitness.update(fitness.init(3, 2), [Report(0, [], outcome="dropped")]).round == 0
    assert (fitness_of(fitness, plain, range(30)).argmax(axis=1) == DOMAIN[:30]).all()
    strangers = fitness_of(fitness, plain, range(30, 40))
    assert (strangers == strangers[0]).all()
    reverse = fitness_of(EmbeddingFitness(purpose="repair"), plain, range(30))
    np.testing.assert_allclose(reverse, 1 - fitness_of(fitness, plain, range(30)))


def test_a_newcomer_s_first_report_fits_its_embedding_and_nothing_else(plain):
    fitness = EmbeddingFitness()
    newcomers = np.arange(30, 40)
    state = fitness.update(plain, told(newcomers, masses_of(DOMAIN[30:], np.random.default_rng(9))))
    for field in ("inward", "outward"):
        assert np.array_equal(getattr(state, field), getattr(plain, field))
    assert np.array_equal(state.embedding[:30], plain.embedding[:30])
    assert (fitness_of(fitness, state, newcomers).argmax(axis=1) == DOMAIN[30:]).all()
    again = fitness.update(state, told(newcomers, masses_of(DOMAIN[30:], np.random.default_rng(10))))
    assert not np.array_equal(again.outward, state.outward)  # known clients train the network
    alone = fitness.update(plain, told([33], masses_of(DOMAIN[[33]], np.random.default_rng(9))))
    assert not np.array_equal(alone.embedding[33], plain.embedding[33])
    young = EmbeddingFitness(young=plain.round + 1)
    assert not np.array_equal(young.update(plain, told([33], [np.eye(8)[1]])).outward, plain.outward)


def test_features_rate_clients_that_never_reported():
    features = np.eye(4)[DOMAIN] * [1e-90, 1e90, 1.0, 1.0] + [0, 0, 0, 7.0]
    fitness = EmbeddingFitness(features=features)
    state = learned(fitness)
    assert (fitness_of(fitness, state, range(30, 40)).argmax(axis=1) == DOMAIN[30:]).mean() >= 0.9
    with pytest.raises(ValueError, match="features has 40 rows, and none for client 40"):
        fitness_of(fitness, state.grow(41), [40])


def test_pairs_that_a_client_never_tried_are_predicted_from_clients_like_it():
    fitness, rng = EmbeddingFitness("accuracy"), np.random.default_rng(1)
    good = rng.random((4, 10))[DOMAIN]
    tried = rng.random(good.shape) < 0.6
    state = fitness.init(40, 10)
    for _ in range(8):
        measures = ((i, np.flatnonzero(row), np.ones(row.sum())) for i, row in enumerate(tried))
        state = fitness.update(state, [Report(i, j, one, one, good[i, j], num_examples=9) for i, j, one in measures])
    value = fitness_of(fitness, state, range(40))
    blind = np.broadcast_to((good * tried).sum(axis=0) / tried.sum(axis=0), good.shape)
    assert np.abs(value - good)[~tried].mean() < 0.6 * np.abs(blind - good)[~tried].mean()


def test_steps_follow_the_slope_of_the_squared_errors():
    """Central differences of half the squared errors, plus the ridge, are the oracle."""
    rng = np.random.default_rng(2)
    parts = [rng.normal(size=shape) for shape in ((3, 2), (3, 1), (4, 5), (2, 6))]
    targets, seen = rng.random((3, 2)), np.array([[True, False], [True, True], [False, True]])

    def loss(embedding, features, inward, outward):
        inputs = np.column_stack([embedding, features, np.ones(3)])
        value = np.column_stack([np.tanh(inputs @ inward), np.ones(3)]) @ outward.T
        return 0.5 * ((value - targets)[seen] ** 2).sum() + 0.05 * (embedding**2).sum()

    def slope(k):
        slopes = np.zeros_like(parts[k])
        for index in np.ndindex(slopes.shape):
            ends = []
            for sign in (1, -1):
                moved = [part.copy() for part in parts]
                moved[k][index] += sign * 1e-6
                ends.append(loss(*moved))
            slopes[index] = (ends[0] - ends[1]) / 2e-6
        return slopes

    fit = _Fit(*(part.copy() for part in parts), np.where(seen, targets, 0.0), seen)
    everyone = np.ones(3, dtype=bool)
    fit.move_embeddings(everyone, rate=1.0, ridge=0.1)
    curvature = np.linalg.norm(parts[3][:, :-1], 2) ** 2 * np.linalg.norm(parts[2][:2], 2) ** 2 + 0.1
    np.testing.assert_allclose(fit.embedding, parts[0] - slope(0) / curvature, atol=1e-8)
    assert loss(fit.embedding, *parts[1:]) < loss(*parts)

    fit = _Fit(*(part.copy() for part in parts), np.where(seen, targets, 0.0), seen)
    fit.move_network(everyone, rate=0.5)
    for k, moved in ((2, fit.inward), (3, fit.outward)):
        step, way = parts[k] - moved, slope(k)
        assert (step * way).sum() == pytest.approx(np.linalg.norm(step) * np.linalg.norm(way))  # the same direction
    assert loss(fit.embedding, fit.features, fit.inward, fit.outward) < loss(*parts)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: EmbeddingFitness("luck"), "signal is 'luck'; it must be 'router' or 'loss' or 'accuracy'"),
        (lambda: EmbeddingFitness(dimension=0), "dimension is 0"),
        (lambda: EmbeddingFitness(hidden=2.5), "hidden is 2.5"),
        (lambda: EmbeddingFitness(steps=0), "steps is 0"),
        (lambda: EmbeddingFitness(rate=2), "rate is 2"),
        (lambda: EmbeddingFitness(ridge=0), "ridge is 0"),
        (lambda: EmbeddingFitness(young=-1), "young is -1"),
        (lambda: EmbeddingFitness(features=[1.0]), r"features has shape \(1,\); it must be \(num_clients, num_feat"),
        (lambda: EmbeddingFitness(features=[[1.0], [np.nan]]), "features of client 1, feature 0 is nan; it must"),
        (lambda: EmbeddingFitness(features=[["fast"]]), "features must be an array of numbers"),
        (lambda: EmbeddingFitness(features=[[1.0]]).init(2, 3), "features has 1 rows, and none for client 1"),
        (lambda: EmbeddingFitness().update(EmbeddingFitness().init(1, 2), [Report(0, [])]),
         "report of client 0: EmbeddingFitness needs router_mass"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(make, told):
    with pytest.raises(ValueError, match=told):
        make()
