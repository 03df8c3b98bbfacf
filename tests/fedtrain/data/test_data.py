"""Federated data sets: every example is dealt out once, by the seed, and each client has its test view."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedtrain.config.data import DATA_NAMES, MOST_STYLES, ConceptsConfig, DataConfig, GlyphsConfig, TextConfig
from fedtrain.config.file import read_config
from fedtrain.data import DATASETS, DataError, Examples, Federated
from fedtrain.data.concepts import STYLES, in_domains, label_permutations
from fedtrain.data.digits import load_digits
from fedtrain.data.examples import split
from fedtrain.data.partitions import PARTITIONS

LABELS = np.random.default_rng(1).integers(10, size=700)
BUNDLED = {
    "digits": DataConfig(),
    "concepts": DataConfig(name="concepts"),
    "hidden concepts": DataConfig(name="concepts", concepts=ConceptsConfig(visible=False)),
    "letters by concept": DataConfig(
        name="concepts",
        concepts=ConceptsConfig(images="glyphs"),
        glyphs=GlyphsConfig(examples=12, test_examples=5),
    ),
    "glyphs": DataConfig(name="glyphs", glyphs=GlyphsConfig(examples=12, test_examples=5)),
    "text": DataConfig(name="text", text=TextConfig(max_characters=600)),
    "text as numbers": DataConfig(name="text", text=TextConfig(max_characters=600, context=6, one_hot=True)),
}


def rng(seed=0):
    return np.random.default_rng(seed)


def load(config: DataConfig, num_clients=10, seed=0) -> Federated:
    return DATASETS[config.name](config, num_clients, seed)


def same(left: Federated, right: Federated) -> bool:
    pairs = [*zip(left.clients, right.clients, strict=True), (left.test, right.test)]
    return all(np.array_equal(a.inputs, b.inputs) and np.array_equal(a.labels, b.labels) for a, b in pairs)


def test_the_configuration_knows_the_data_sets():
    assert tuple(DATASETS) == DATA_NAMES


@pytest.mark.parametrize("name", BUNDLED)
def test_what_every_data_set_promises(name):
    federated = load(BUNDLED[name])
    assert len(federated.clients) == 10
    for part in (*federated.clients, federated.test):
        assert len(part) >= 4
        assert part.inputs.shape[1:] == federated.test.inputs.shape[1:]
        assert part.inputs.dtype == (np.int64 if name == "text" else np.float32)
        assert part.labels.dtype == np.int64
        assert 0 <= part.labels.min() <= part.labels.max() < part.num_classes == federated.test.num_classes
    counts = federated.label_counts()
    assert counts.shape == (10, federated.test.num_classes)
    assert counts.sum(axis=1).tolist() == [part.labels.size for part in federated.clients]
    if federated.concepts is not None:
        assert federated.concepts.sum(axis=1).tolist() == [len(part) for part in federated.clients]


@pytest.mark.parametrize("name", BUNDLED)
def test_data_are_a_function_of_the_seed(name):
    assert same(load(BUNDLED[name]), load(BUNDLED[name]))
    assert same(load(BUNDLED[name]), load(BUNDLED[name], seed=1)) == name.startswith("text")


@pytest.mark.parametrize("name", BUNDLED)
def test_personalised_weights_are_the_clients_mixture_of_groups(name):
    federated = load(BUNDLED[name])
    for client in range(10):
        weights = federated.test_weights(client)
        assert weights.shape == (len(federated.test),)
        assert weights.sum() == pytest.approx(1.0)
        by_group = np.bincount(federated.test_group, weights, federated.mixture.shape[1])
        np.testing.assert_allclose(by_group, federated.mixture[client], atol=1e-12)


@pytest.mark.parametrize("name", BUNDLED)
def test_images_are_about_standardised(name):
    federated = load(BUNDLED[name])
    if not name.startswith("text"):
        assert abs(federated.test.inputs.mean()) < 0.3
        assert 0.6 < federated.test.inputs.std() < 1.3


def test_digits_are_the_bundled_ones():
    digits = load_digits()
    assert digits.inputs.shape == (1797, 1, 8, 8)
    assert digits.inputs.dtype == np.float32
    assert np.bincount(digits.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_split_keeps_the_classes_shares_and_loses_nothing():
    inputs = np.arange(700, dtype=np.float32)[:, None]
    train, test = split(rng(), Examples(inputs, LABELS, 10), 0.25)
    assert sorted([*train.inputs[:, 0], *test.inputs[:, 0]]) == list(range(700))
    per_class = np.bincount(LABELS)
    np.testing.assert_allclose(np.bincount(test.labels), 0.25 * per_class, atol=0.5)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(PARTITIONS)),
    labels=st.lists(st.integers(0, 6), min_size=1, max_size=120).map(np.array),
    alpha=st.sampled_from([1e-3, 0.1, 1.0, 1e3]),
    data=st.data(),
)
def test_a_partition_covers_every_example_once_and_gives_everyone_the_minimum(name, labels, alpha, data):
    num_clients = data.draw(st.integers(1, len(labels)))
    min_examples = data.draw(st.integers(0, len(labels) // num_clients))
    wanted = {"alpha": alpha, "min_examples": min_examples}
    parts, again = (PARTITIONS[name](rng(7), labels, num_clients, **wanted) for _ in range(2))
    assert len(parts) == num_clients
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    assert min(map(len, parts)) >= min_examples
    assert all((np.diff(part) > 0).all() for part in parts)
    assert all(map(np.array_equal, parts, again))


@pytest.mark.parametrize("name", PARTITIONS)
def test_another_seed_gives_another_partition(name):
    one, other = (PARTITIONS[name](rng(seed), LABELS, 9, alpha=0.5, min_examples=2) for seed in (3, 4))
    assert not all(map(np.array_equal, one, other))


def test_alpha_means_label_skew_for_dirichlet_and_size_for_quantity():
    def skews(name, alpha):
        parts = PARTITIONS[name](rng(), LABELS, 10, alpha=alpha, min_examples=1)
        counts = np.stack([np.bincount(LABELS[part], minlength=10) for part in parts])
        sizes = counts.sum(axis=1)
        largest_class = (counts.max(axis=1) / sizes)[sizes >= 20]
        return largest_class.mean(), sizes.std() / sizes.mean()

    assert skews("dirichlet", 0.05)[0] > 0.5
    assert skews("dirichlet", 1000.0)[0] < 0.25
    assert skews("quantity", 0.3)[0] < 0.3
    assert skews("quantity", 0.3)[1] > 0.6
    assert skews("quantity", 1000.0)[1] < 0.1


@pytest.mark.parametrize("name", PARTITIONS)
def test_too_many_clients_are_refused(name):
    with pytest.raises(DataError, match="176 clients with at least 4 examples each need 704, and there are 700"):
        PARTITIONS[name](rng(), LABELS, 176, alpha=1.0, min_examples=4)


def test_domains_disagree_on_names_and_agree_on_images_where_nothing_is_to_be_seen():
    digits = load_digits().select(np.arange(50))
    names = label_permutations(rng(), 3, 10)
    assert all(sorted(row) == list(range(10)) for row in names.tolist())
    domain = np.arange(50) % 3
    hidden = in_domains(digits, domain, names, visible=False)
    assert np.array_equal(hidden.inputs, digits.inputs)
    assert hidden.labels.tolist() == [names[d, c] for d, c in zip(domain, digits.labels, strict=True)]
    visible = in_domains(digits, domain, names, visible=True)
    assert np.array_equal(visible.labels, hidden.labels)
    assert np.array_equal(visible.inputs[domain == 1], STYLES[1](digits.inputs[domain == 1]))


def test_styles_are_different_and_lose_nothing():
    assert len(STYLES) == MOST_STYLES
    images = rng().standard_normal((2, 1, 8, 8)).astype(np.float32)
    styled = [style(images) for style in STYLES]
    for number, one in enumerate(styled):
        assert one.shape == images.shape
        assert np.array_equal(np.sort(np.abs(one).ravel()), np.sort(np.abs(images).ravel()))
        assert not any(np.array_equal(one, other) for other in styled[:number])


@pytest.mark.parametrize("alpha", [1e-9, 0.1, 1000.0])
def test_concept_clients_live_in_few_domains_where_alpha_is_small(alpha):
    config = DataConfig(name="concepts", concepts=ConceptsConfig(alpha=alpha, copies=3))
    federated = load(config, num_clients=20)
    assert {len(part) for part in federated.clients} == {3 * 71, 3 * 72}
    np.testing.assert_allclose(
        federated.mixture, federated.concepts / federated.concepts.sum(axis=1, keepdims=True), atol=1e-12
    )
    largest = federated.mixture.max(axis=1).mean()
    assert largest == 1.0 if alpha < 1e-6 else (largest > 0.6) == (alpha < 1.0)


def test_concepts_are_tested_with_images_that_nobody_trains_on():
    federated = load(DataConfig(name="concepts", concepts=ConceptsConfig(visible=False, copies=1)))
    trained = np.concatenate([part.inputs for part in federated.clients])
    assert len(trained) + len(federated.test) // 8 == 1797
    assert np.bincount(federated.test_group).tolist() == [len(federated.test) // 8] * 8
    everything = {image.tobytes() for image in trained}
    shared = sum(image.tobytes() in everything for image in federated.test.inputs[: len(federated.test) // 8])
    assert shared == 0


def test_a_value_that_does_not_fit_itself_is_refused():
    good = load(BUNDLED["glyphs"])
    for changed, words in [
        ({"test_group": good.test_group[1:]}, "test_group has shape"),
        ({"mixture": good.mixture / 2}, "each summing to 1"),
        ({"mixture": np.eye(10)[:, :9]}, "each summing to 1"),
        ({"mixture": np.eye(11)[1:]}, "a group that has no test example"),
        ({"clients": (good.clients[0].select(np.arange(0)), *good.clients[1:])}, "at least one training example"),
    ]:
        with pytest.raises(DataError, match=words):
            dataclasses.replace(good, **changed)


WRONG = {
    "data.name=mnist": "data.name is 'mnist'; it must be 'digits' or",
    "data.max_examples=-1": "data.max_examples is -1; it must be 0 or more",
    "data.concepts.num_domains=0": "data.concepts.num_domains is 0; it must be 1 or more",
    "data.concepts.num_domains=17": "data.concepts.num_domains is 17; it must be at most 16 where domains are visible",
    "data.concepts.visible=maybe": "data.concepts.visible is 'maybe'; it must be true or false",
    "data.concepts.alpha=0": "data.concepts.alpha is 0.0; it must be above 0",
    "data.concepts.copies=0": "data.concepts.copies is 0; it must be 1 or more",
    "data.glyphs.size=4": "data.glyphs.size is 4; it must be between 8 and 128",
    "data.glyphs.examples=0": "data.glyphs.examples is 0; it must be 1 or more",
    "data.glyphs.hand=-1": "data.glyphs.hand is -1.0; it must be between 0 and 2",
    "data.glyphs.noise=nan": "data.glyphs.noise is nan; it must be between 0 and 1",
    "data.text.clients=words": "data.text.clients is 'words'; it must be 'speakers' or 'files' or 'folders'",
    "data.text.step=0": "data.text.step is 0; it must be 1 or more",
    "data.text.context=0": "data.text.context is 0; it must be 1 or more",
    "data.emnist.split=all": "data.emnist.split is 'all'; it must be 'byclass' or",
    "data.gtsrb.size=1": "data.gtsrb.size is 1; it must be between 4 and 256",
    "data.glyph.size=9": "unknown key 'data.glyph'; did you mean 'data.glyphs'?",
}


@pytest.mark.parametrize("override", WRONG)
def test_a_wrong_value_is_named_by_its_key(override):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (its words are compared)
        read_config(overrides=[override])
    assert WRONG[override] in str(error.value)


def test_hidden_domains_are_as_many_as_asked():
    federated = load(DataConfig(name="concepts", concepts=ConceptsConfig(num_domains=15, visible=False)))
    assert federated.mixture.shape == (10, 15)
