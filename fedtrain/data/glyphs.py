"""Rendered characters of 62 classes; a client is a font and a handwriting, so that clients differ as writers do.

A handwriting ("hand") has its own slant, stroke width, size, width and rotation, drawn once per client. Every image
varies a little around it and gets its own noise. Images are rendered from distance fields
(:mod:`fedtrain.data.fonts`) in three steps:

1. Every pixel is mapped back to the font by the inverse of the hand's affine map.
2. The distance field is read at that point.
3. The distance and the stroke width give the share of the pixel that is ink.

Any number of images can be rendered.
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
    """Render every client's characters, for training and for its own test; the font is the concept."""
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
    """A client's handwriting.

    Attributes
    ----------
    font
        Index of the font in :func:`fedtrain.data.fonts.font_files`.
    slant
        Shift to the right per unit of height.
    stroke
        Thickness that is added on either side of a stroke, in shares of the font size.
    scale, width
        Size relative to the font, and width relative to that size; 1 leaves the font as it is.
    rotation
        Angle, anticlockwise, in radians.
    tremor
        Variation of single images around these values, as a share of the variation between hands.
    """

    font: int
    slant: float = 0.0
    stroke: float = 0.0
    scale: float = 1.0
    width: float = 1.0
    rotation: float = 0.0
    tremor: float = 0.0


def draw_hand(rng: np.random.Generator, font: int, strength: float) -> Hand:
    """Draw a client's hand; with strength 0 it does not change the font."""
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
        The client's hand.
    num_examples
        Number of images.
    size
        Height and width of an image in pixels.
    noise
        Standard deviation of the noise that is added to every pixel.

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
    """Give every client a font, in random order; every font gets the same number of clients, give or take one."""
    return rng.permutation(np.arange(num_clients) % len(font_files()))


def _vary(rng: np.random.Generator, hand: Hand, num_examples: int) -> FloatArray:
    """Draw slant, stroke, scale, width, rotation and two shifts of single images, (7, num_examples)."""
    centre = np.array([hand.slant, hand.stroke, hand.scale, hand.width, hand.rotation, 0.0, 0.0])
    spread = hand.tremor * np.array([0.35, 0.012, 0.2, 0.2, 0.25, 0.1, 0.1])
    return centre[:, None] + spread[:, None] * rng.uniform(-1.0, 1.0, size=(7, num_examples))


def _render(fields: Images, labels: IntArray, varied: FloatArray, size: int) -> Images:
    """Render these characters as ink from 0 to 1, (num_examples, size, size)."""
    # The pixels' coordinates, mapped back to the font: shift, then rotation, then slant and scale.
    slant, stroke, scale, width, rotation, right, down = varied.astype(np.float32)[:, :, None, None]
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    y, x = axis[None, :, None] - down, axis[None, None, :] - right
    cos, sin = np.cos(rotation), np.sin(rotation)
    across, along = cos * x - sin * y, sin * x + cos * y
    distance = _sample(fields, labels, (across + slant * along) / (scale * width), along / scale)
    # The share of each pixel that is ink. The edge of a stroke is one pixel wide.
    pixel = np.float32(SHOWN / size)
    return np.clip(0.5 + (stroke - distance) * scale / pixel, 0.0, 1.0)


def _sample(fields: Images, labels: IntArray, x: Images, y: Images) -> Images:
    """Interpolate distance fields bilinearly at x and y from -0.5 to 0.5; points outside get the value at the edge."""
    limit = np.float32(FIELD - 1.001)
    column = np.clip(x * FIELD + (FIELD / 2 - 0.5), 0.0, limit, dtype=np.float32)
    row = np.clip(y * FIELD + (FIELD / 2 - 0.5), 0.0, limit, dtype=np.float32)
    i, j = row.astype(np.int64), column.astype(np.int64)
    # ``row`` and ``column`` become the position within the cell, from 0 to 1.
    row, column = row - i, column - j
    flat = fields.ravel()
    corner = labels[:, None, None] * FIELD * FIELD + i * FIELD + j
    upper = flat[corner] * (1 - column) + flat[corner + 1] * column
    lower = flat[corner + FIELD] * (1 - column) + flat[corner + FIELD + 1] * column
    return upper * (1 - row) + lower * row
