"""Rendered characters: 62 classes, and a client is a font and a hand, so that clients differ as writers do.

A hand has its own slant, stroke width, size, width and rotation, drawn once per client; every image then varies a
little around it and gets its own noise. Images are made from distance fields (:mod:`fedtrain.data.fonts`): the
points of the image are taken back through the hand's affine map, the field is read there, and a pixel is inked as far
as the outline, moved by the stroke, passes through it. There are as many images as are asked for.
"""

from dataclasses import dataclass, replace

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from fedtrain.config.data import DataConfig
from fedtrain.data.examples import Examples, Images, joined
from fedtrain.data.federated import Federated, by_client
from fedtrain.data.fonts import CHARACTERS, FIELD, SHOWN, distance_fields, font_files
from fedtrain.randomness import Purpose, generator

_AT_ONCE = 256
"""Images rendered together: few enough for their points to stay in the processor's cache."""


def glyphs(config: DataConfig, num_clients: int, seed: int) -> Federated:
    """Let every client write its characters, for training and for its own test; the font is the concept."""
    options = config.glyphs
    fonts = _fonts_of(generator(seed, Purpose.HAND), num_clients)
    clients, tests = [], []
    for client, font in enumerate(fonts):
        rng = generator(seed, Purpose.GLYPHS, client)
        hand = draw_hand(generator(seed, Purpose.HAND, client), int(font), options.hand)
        clients.append(write(rng, hand, options.examples, size=options.size, noise=options.noise))
        tests.append(write(rng, hand, options.test_examples, size=options.size, noise=options.noise))
    counts = options.examples * np.eye(len(font_files()), dtype=np.int64)[fonts]
    return replace(by_client(clients, tests, joined(tests)), concepts=counts)


@dataclass(frozen=True)
class Hand:
    """How a client writes.

    Attributes
    ----------
    font
        Its place in :func:`fedtrain.data.fonts.font_files`.
    slant
        Shift to the right per unit of height.
    stroke
        What is added to either side of a stroke, in shares of the font's size.
    scale, width
        Size, and width relative to it; 1 is the font's.
    rotation
        Anticlockwise, in radians.
    tremor
        How much single images vary around all this, relative to how much hands do.
    """

    font: int
    slant: float = 0.0
    stroke: float = 0.0
    scale: float = 1.0
    width: float = 1.0
    rotation: float = 0.0
    tremor: float = 0.0


def draw_hand(rng: np.random.Generator, font: int, strength: float) -> Hand:
    """Draw a client's hand; with strength 0 it writes as the font is."""
    slant, stroke, scale, width, rotation = strength * rng.uniform(-1.0, 1.0, size=5)
    return Hand(
        font,
        slant=0.35 * slant,
        stroke=0.012 * stroke,
        scale=float(np.exp(0.2 * scale)),
        width=float(np.exp(0.2 * width)),
        rotation=0.25 * rotation,
        tremor=0.3 * strength,
    )


def write(rng: np.random.Generator, hand: Hand, num_examples: int, *, size: int, noise: float) -> Examples:
    """Write characters drawn evenly from all classes.

    Parameters
    ----------
    rng
        Source of all randomness.
    hand
        Who writes.
    num_examples
        How many.
    size
        Height and width of an image in pixels.
    noise
        Standard deviation of what is added to every pixel.

    Returns
    -------
    examples
        Images of (1, size, size), shifted and scaled to about zero mean and unit variance.
    """
    labels = rng.integers(len(CHARACTERS), size=num_examples)
    varied = _vary(rng, hand, num_examples)
    fields = distance_fields(font_files()[hand.font])
    images = np.empty((num_examples, 1, size, size), dtype=np.float32)
    for start in range(0, num_examples, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        images[part, 0] = _render(fields, labels[part], varied[:, part], size)
    images += noise * rng.standard_normal(images.shape, dtype=np.float32)
    return Examples((images - np.float32(0.15)) / np.float32(0.32), labels, len(CHARACTERS))


def _fonts_of(rng: np.random.Generator, num_clients: int) -> IntArray:
    """Hand fonts out as evenly as can be, in random order."""
    return rng.permutation(np.arange(num_clients) % len(font_files()))


def _vary(rng: np.random.Generator, hand: Hand, num_examples: int) -> FloatArray:
    """Slant, stroke, scale, width, rotation and shifts of single images, (7, num_examples)."""
    centre = np.array([hand.slant, hand.stroke, hand.scale, hand.width, hand.rotation, 0.0, 0.0])
    spread = hand.tremor * np.array([0.35, 0.012, 0.2, 0.2, 0.25, 0.1, 0.1])
    return centre[:, None] + spread[:, None] * rng.uniform(-1.0, 1.0, size=(7, num_examples))


def _render(fields: Images, labels: IntArray, varied: FloatArray, size: int) -> Images:
    """Ink of these characters, 0 to 1, (num_examples, size, size)."""
    slant, stroke, scale, width, rotation, right, down = varied.astype(np.float32)[:, :, None, None]
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    y, x = axis[None, :, None] - down, axis[None, None, :] - right
    cos, sin = np.cos(rotation), np.sin(rotation)
    across, along = cos * x - sin * y, sin * x + cos * y
    distance = _sample(fields, labels, (across + slant * along) / (scale * width), along / scale)
    pixel = np.float32(SHOWN / size)
    return np.clip(0.5 + (stroke - distance) * scale / pixel, 0.0, 1.0)


def _sample(fields: Images, labels: IntArray, x: Images, y: Images) -> Images:
    """Read distance fields between their points (bilinearly), at x and y from -0.5 to 0.5; beyond, at the edge."""
    limit = np.float32(FIELD - 1.001)
    column = np.clip(x * FIELD + (FIELD / 2 - 0.5), 0.0, limit, dtype=np.float32)
    row = np.clip(y * FIELD + (FIELD / 2 - 0.5), 0.0, limit, dtype=np.float32)
    i, j = row.astype(np.int64), column.astype(np.int64)
    row, column = row - i, column - j
    flat = fields.ravel()
    corner = labels[:, None, None] * FIELD * FIELD + i * FIELD + j
    upper = flat[corner] * (1 - column) + flat[corner + 1] * column
    lower = flat[corner + FIELD] * (1 - column) + flat[corner + FIELD + 1] * column
    return upper * (1 - row) + lower * row
