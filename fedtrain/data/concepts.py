"""Images by concept: domains label the same image differently, so that no single expert serves all clients.

Every domain has its own permutation of the labels. *Visible* domains also have a style, a fixed transformation of the
image, so that a router can tell them apart by looking; of *hidden* ones nothing is seen, and only how well an expert
does tells a client where it belongs. A client owns an equal share of the training images, each in domains drawn from
the client's own mixture, which is drawn from a Dirichlet distribution: near 0 nearly every client lives in one domain.
The test set shows every test image in every domain; a client's personalised view of it is its own mixture.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from fedtrain.config.data import DataConfig
from fedtrain.data.digits import load_digits
from fedtrain.data.examples import Examples, Images, joined, split
from fedtrain.data.federated import Federated, mixture_of
from fedtrain.data.glyphs import glyphs
from fedtrain.data.partitions import check_supply
from fedtrain.randomness import Purpose, generator

Style: TypeAlias = Callable[[Images], Images]


def concepts(config: DataConfig, num_clients: int, seed: int) -> Federated:
    """Share out digits or letters among clients that live in different domains.

    Raises
    ------
    DataError
        If there are too few images for everybody's minimum.
    """
    options = config.concepts
    train, test = _images(config, num_clients, seed)
    check_supply(len(train), num_clients, config.min_examples)
    names = label_permutations(generator(seed, Purpose.CONCEPTS), options.num_domains, train.num_classes)
    order = generator(seed, Purpose.PARTITION).permutation(len(train))
    clients, counts = [], []
    for client, own in enumerate(np.array_split(order, num_clients)):
        rng = generator(seed, Purpose.MIXTURE, client)
        images = np.repeat(np.sort(own), options.copies)
        domain = rng.choice(options.num_domains, size=len(images), p=_mixture(rng, options.num_domains, options.alpha))
        clients.append(in_domains(train.select(images), domain, names, visible=options.visible))
        counts.append(np.bincount(domain, minlength=options.num_domains))
    everywhere, domain = _in_every_domain(test, names, visible=options.visible)
    owned = np.stack(counts)
    return Federated(tuple(clients), everywhere, domain, mixture_of(owned, domain), concepts=owned)


def _images(config: DataConfig, num_clients: int, seed: int) -> tuple[Examples, Examples]:
    """What is seen, before anybody disagrees on it: for training, and for the test."""
    if config.concepts.images == "glyphs":
        written = glyphs(config, num_clients, seed)
        return joined(written.clients), written.test
    return split(generator(seed, Purpose.SPLIT), load_digits(), config.test_fraction)


def in_domains(examples: Examples, domain: IntArray, names: IntArray, *, visible: bool) -> Examples:
    """Take every example to its domain.

    Parameters
    ----------
    examples
        Images, square.
    domain
        (num_examples,) where to.
    names
        (num_domains, num_classes) what every class is called in every domain.
    visible
        Whether the domain's style is put on.
    """
    inputs = examples.inputs.copy()
    if visible:
        for d in range(len(names)):
            members = domain == d
            inputs[members] = STYLES[d](inputs[members])
    return Examples(inputs, names[domain, examples.labels], examples.num_classes)


def label_permutations(rng: np.random.Generator, num_domains: int, num_classes: int) -> IntArray:
    """Draw what every class is called in every domain, (num_domains, num_classes)."""
    return np.stack([rng.permutation(num_classes) for _ in range(num_domains)])


def _mixture(rng: np.random.Generator, num_domains: int, alpha: float) -> FloatArray:
    """Draw a client's mixture; concentrations near 0 underflow to no mixture at all, which means one domain."""
    mixture = rng.dirichlet(np.full(num_domains, alpha))
    return mixture if np.isfinite(mixture).all() else np.eye(num_domains)[rng.integers(num_domains)]


def _in_every_domain(test: Examples, names: IntArray, *, visible: bool) -> tuple[Examples, IntArray]:
    domain = np.repeat(np.arange(len(names)), len(test))
    every = test.select(np.tile(np.arange(len(test)), len(names)))
    return in_domains(every, domain, names, visible=visible), domain


def _inverted(images: Images, rows: int, columns: int) -> Images:
    """Invert every other band of this many rows, and of this many columns; 0: no bands."""
    return images * _signs(images.shape[-2], rows)[:, None] * _signs(images.shape[-1], columns)


def _signs(length: int, band: int) -> Images:
    place = np.arange(length) // band if band else np.zeros(length)
    return np.where(place % 2 == 0, 1.0, -1.0).astype(np.float32)


def _turned(images: Images) -> Images:
    return np.rot90(images, axes=(-2, -1))


def _shifted(images: Images) -> Images:
    return np.roll(images, images.shape[-1] // 2, axis=-1)


STYLES: tuple[Style, ...] = (
    lambda images: images,
    lambda images: -images,
    lambda images: _inverted(images, 1, 0),
    lambda images: _inverted(images, 0, 1),
    lambda images: _inverted(images, 1, 1),
    lambda images: _inverted(_turned(images), 4, 0),
    lambda images: _inverted(_shifted(images), 0, 4),
    lambda images: _inverted(images, 2, 2),
    lambda images: -_inverted(images, 2, 0),
    lambda images: -_inverted(images, 0, 2),
    lambda images: _inverted(images, 4, 4),
    lambda images: -_inverted(images, 4, 2),
)
"""What a domain's images look like: as they are, inverted, striped, checkered, turned, shifted; (number, 1, n, n)."""
