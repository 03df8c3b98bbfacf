"""Images by concept: domains label the same image differently, so that no single expert serves all clients.

Every domain has its own permutation of the labels. *Visible* domains also have a style, which is a fixed transformation
of the image. So a router can tell visible domains apart by the image alone. *Hidden* domains have no style. There, only
an expert's loss shows whether it fits a client.

Every client owns an equal share of the training images. The domain of each image is drawn from the client's own
mixture of domains. Mixtures are drawn from a Dirichlet distribution. With a concentration near 0, nearly every client
has one domain only. The test set shows every test image in every domain. A client's personalised accuracy weighs the
domains by the client's mixture.
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
    """Divide digits or letters among clients with different domains.

    Raises
    ------
    DataError
        If there are too few images for every client's minimum.
    """
    options = config.concepts
    train, test = _images(config, num_clients, seed)
    check_supply(len(train), num_clients, config.min_examples)
    names = label_permutations(generator(seed, Purpose.CONCEPTS), options.num_domains, train.num_classes)
    # Every client gets an equal share of the images, and draws a domain for each copy of an image.
    order = generator(seed, Purpose.PARTITION).permutation(len(train))
    clients, counts = [], []
    for client, own in enumerate(np.array_split(order, num_clients)):
        rng = generator(seed, Purpose.MIXTURE, client)
        images = np.repeat(np.sort(own), options.copies)
        domain = rng.choice(options.num_domains, size=len(images), p=_mixture(rng, options.num_domains, options.alpha))
        clients.append(in_domains(train.select(images), domain, names, visible=options.visible))
        counts.append(np.bincount(domain, minlength=options.num_domains))
    # The test set has every image in every domain.
    everywhere, domain = _in_every_domain(test, names, visible=options.visible)
    owned = np.stack(counts)
    return Federated(tuple(clients), everywhere, domain, mixture_of(owned, domain), concepts=owned)


def _images(config: DataConfig, num_clients: int, seed: int) -> tuple[Examples, Examples]:
    """Load the images for training and for the test, before styles and label permutations are applied."""
    if config.concepts.images == "glyphs":
        written = glyphs(config, num_clients, seed)
        return joined(written.clients), written.test
    return split(generator(seed, Purpose.SPLIT), load_digits(), config.test_fraction)


def in_domains(examples: Examples, domain: IntArray, names: IntArray, *, visible: bool) -> Examples:
    """Apply to every example the style and the labels of its domain.

    Parameters
    ----------
    examples
        Square images.
    domain
        (num_examples,) domain of each example.
    names
        (num_domains, num_classes) label of every class in every domain.
    visible
        Whether the domain's style is applied.
    """
    inputs = examples.inputs.copy()
    if visible:
        for d in range(len(names)):
            members = domain == d
            inputs[members] = STYLES[d](inputs[members])
    return Examples(inputs, names[domain, examples.labels], examples.num_classes)


def label_permutations(rng: np.random.Generator, num_domains: int, num_classes: int) -> IntArray:
    """Draw the label of every class in every domain, (num_domains, num_classes)."""
    return np.stack([rng.permutation(num_classes) for _ in range(num_domains)])


def _mixture(rng: np.random.Generator, num_domains: int, alpha: float) -> FloatArray:
    """Draw a client's mixture; if a concentration near 0 underflows to NaN, the client gets one random domain."""
    mixture = rng.dirichlet(np.full(num_domains, alpha))
    return mixture if np.isfinite(mixture).all() else np.eye(num_domains)[rng.integers(num_domains)]


def _in_every_domain(test: Examples, names: IntArray, *, visible: bool) -> tuple[Examples, IntArray]:
    domain = np.repeat(np.arange(len(names)), len(test))
    every = test.select(np.tile(np.arange(len(test)), len(names)))
    return in_domains(every, domain, names, visible=visible), domain


def _inverted(images: Images, rows: int, columns: int) -> Images:
    """Invert every second band of rows and of columns; the arguments are the widths of a band, 0 for no bands."""
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
    lambda images: -_inverted(images, 1, 2),
    lambda images: _inverted(images, 2, 1),
    lambda images: _inverted(images, 3, 0),
    lambda images: -_inverted(_turned(images), 0, 3),
)
"""Style of each domain: unchanged, inverted, striped, checkered, rotated, shifted. Images are (number, 1, n, n)."""
