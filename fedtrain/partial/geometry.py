"""Computes the geometry of an update: how far a client moved the shared parts, for the aligner to compare clients.

The server computes it from an update that it was sent, so it learns nothing new; but the labels that a client holds,
and who is like whom, become readable. It is computed only for an aligner that learns from it.
"""

import numpy as np

from alignsolve.estimate.geometry import LARGEST_MOVE, Geometry
from alignsolve.numerics import BoolArray, FloatArray
from fedtrain.aggregate import arrays
from fedtrain.layouts import Layout, LayoutError, Weights
from fedtrain.partial.update import PartialUpdate

EXACT = 1 << 14
"""Entries of the head, and of the body, up to which they are kept whole; of more, a sketch of this size is kept."""
LEAST_WIDTH = 8
"""Least width of the sketch of a label's direction; more labels than EXACT / LEAST_WIDTH are refused."""
HELD = 0.25
"""A label is held if it moves at least this share of the label that moves most."""


def geometry_of(update: PartialUpdate, weights: Weights, layout: Layout) -> Geometry:
    """Return the geometry of an update that :func:`fedtrain.partial.find_fault` found no fault in.

    A client holds a label if the head's bias of it rises by more than a quarter of the largest rise. Without a bias,
    the length of the label's row takes the place of the rise: with a softmax, the rows of labels without examples move
    little. The body is all other shared tensors of floating-point type, ordered by name.

    More than 16,384 entries are sketched: each entry is added, with a random sign, to a random one of that many sums
    (Charikar, Chen and Farach-Colton, 2002). The signs and places are the same for all clients and rounds, and cosines
    are kept up to an error of about 0.01. Sketches of only 128 sums drowned the signal in a trial.

    Parameters
    ----------
    update
        The client's update.
    weights, layout
        The whole model's tensors as they were sent out, and its layout. ``layout.head`` names the head; without one,
        the geometry has no labels.

    Raises
    ------
    LayoutError
        If the layout's head is not a shared tensor of the model with two axes, its bias has not one entry per label, or
        it has more than 2,048 labels.
    """
    head, labels = np.zeros((0, 0)), np.zeros(0, dtype=bool)
    check_head(weights, layout)
    if layout.head is not None:
        head = _moved(update, weights, layout.head).reshape(weights[layout.head].shape)
        rise = np.sqrt((head**2).sum(axis=1))
        if layout.head_bias is not None:
            rise = _moved(update, weights, layout.head_bias)
        labels = _held(rise)
    own = {layout.head, layout.head_bias}
    body = [
        _moved(update, weights, name)
        for name in sorted(weights)
        if name not in layout.parts and name not in own and arrays.is_real(weights[name])
    ]
    narrow = sketched(head, max(LEAST_WIDTH, EXACT // max(len(head), 1)))
    whole = sketched(np.concatenate([np.zeros(0), *body])[None], EXACT)[0]
    return Geometry(_limited(narrow), labels, _limited(whole))


def check_head(weights: Weights, layout: Layout) -> None:
    """Refuse a head from which labels cannot be read; the message says what to do. No head is accepted.

    Raises
    ------
    LayoutError
        As :func:`geometry_of` does.
    """
    if layout.head is None:
        return
    shape = tuple(weights[layout.head].shape) if layout.head in weights else None
    if shape is None or len(shape) != 2:
        raise LayoutError(f"head is {layout.head}, of shape {shape}; it must be a tensor with a row per label, or None")
    if shape[0] > EXACT // LEAST_WIDTH:
        raise LayoutError(
            f"head {layout.head} has {shape[0]} labels, and at most {EXACT // LEAST_WIDTH} can be compared: set "
            "head=None (dataclasses.replace) and choose a fitness that does not look at labels"
        )
    bias = layout.head_bias
    if bias is not None and (bias not in weights or tuple(weights[bias].shape) != shape[:1]):
        raise LayoutError(f"head_bias is {bias}; it must be a tensor with an entry for each of {shape[0]} labels")


def _moved(update: PartialUpdate, weights: Weights, name: str) -> FloatArray:
    """Return how far a shared tensor moved, as a vector."""
    return arrays.flatten([update.weights[name]]) - arrays.flatten([weights[name]])


def _held(rise: FloatArray) -> BoolArray:
    largest = rise.max(initial=0.0)
    held: BoolArray = rise > HELD * largest if largest > 0 else np.zeros(len(rise), dtype=bool)
    return held


def _limited(values: FloatArray) -> FloatArray:
    """Limit the size of what a hostile client may return, so that squares can be summed."""
    return np.clip(values, -LARGEST_MOVE, LARGEST_MOVE)


def sketched(rows: FloatArray, width: int) -> FloatArray:
    """Return a sketch of each row, (num_rows, width); rows that are not longer are returned as they are.

    Examples
    --------
    >>> sketched(np.ones((1, 3)), 4)
    array([[1., 1., 1.]])
    """
    size = rows.shape[1]
    if size <= width:
        return rows
    rng = np.random.default_rng(size)
    place, sign = rng.integers(width, size=size), rng.integers(2, size=size) * 2.0 - 1.0
    sums = [np.bincount(place, weights=row * sign, minlength=width) for row in rows]
    return np.array(sums, dtype=np.float64)
