"""K-means whose clusters keep their names from round to round, and the choice of their number.

New clusters come from Lloyd's algorithm with several k-means++ starts (Arthur and Vassilvitskii, 2007), in the span of
the largest principal components: there noise of other directions is left out. Their number is that of the largest mean
silhouette (Rousseeuw, 1987): how much nearer a client is to its own cluster than to the next one. Names are matched by
an exact assignment: new cluster c gets the name of the old centre that it resembles, so that the total cosine is
largest.
"""

import numpy as np

from alignsolve.estimate.geometry import to_unit
from alignsolve.front import solve
from alignsolve.numerics import FloatArray, IntArray
from alignsolve.problem import AlignmentProblem

STARTS, STARTS_TO_COUNT, TURNS = 10, 3, 25
"""Starts of k-means; fewer while the number of clusters is chosen; and most steps of each."""
AT_MOST = 512
"""Rows from which clusters are learned; of more rows, this many are drawn."""


def clustered(rows: FloatArray, least: int, most: int, rng: np.random.Generator) -> IntArray:
    """Return the cluster of each row, (num_rows,), from 0; the number of clusters lies between ``least`` and ``most``.

    Parameters
    ----------
    rows
        (num_rows, size) features of length 1.
    least, most
        Fewest and most clusters, 1 or more. There are never more clusters than rows.
    rng
        Source of the starts.
    """
    if len(rows) > AT_MOST:
        drawn = np.sort(rng.choice(len(rows), AT_MOST, replace=False))
        members = clustered(rows[drawn], least, most, rng)
        return nearest(rows, mean_rows(rows[drawn], members, int(members.max()) + 1))
    points = _principal(rows, 2 * most)
    numbers = range(min(least, len(rows)), min(most, len(rows)) + 1)
    best, highest = numbers[0], -np.inf
    for number in numbers if len(numbers) > 1 else ():
        width = silhouette(points, _lloyd(points, number, STARTS_TO_COUNT, rng))
        if width > highest:
            best, highest = number, width
    return _lloyd(points, best, STARTS, rng)


def _principal(rows: FloatArray, number: int) -> FloatArray:
    """Return the rows in the coordinates of their largest principal components."""
    values, vectors = np.linalg.eigh(rows @ rows.T)
    scaled: FloatArray = vectors[:, ::-1][:, :number] * np.sqrt(np.maximum(values[::-1][:number], 0.0))
    return scaled


def _lloyd(points: FloatArray, number: int, starts: int, rng: np.random.Generator) -> IntArray:
    """Return the memberships of the best of several k-means runs."""
    best, least = np.zeros(len(points), dtype=np.int64), np.inf
    for _ in range(starts):
        centre = _start(points, number, rng)
        members = np.full(len(points), -1)
        for _ in range(TURNS):
            distance = _squared(points, centre)
            found = distance.argmin(axis=1)
            if (found == members).all():
                break
            members = found
            means = mean_rows(points, members, number)
            centre = np.where(np.isnan(means), centre, means)
        cost = float(_squared(points, centre)[np.arange(len(points)), members].sum())
        if cost < least:
            best, least = members, cost
    return np.unique(best, return_inverse=True)[1].reshape(-1)


def _start(points: FloatArray, number: int, rng: np.random.Generator) -> FloatArray:
    """Draw the first centres by k-means++: far points are more likely."""
    chosen = [int(rng.integers(len(points)))]
    distance = _squared(points, points[chosen])[:, 0]
    for _ in range(number - 1):
        total = distance.sum()
        weight = distance / total if total > 0 else np.full(len(points), 1.0 / len(points))
        chosen.append(int(rng.choice(len(points), p=weight)))
        distance = np.minimum(distance, _squared(points, points[chosen[-1:]])[:, 0])
    return points[chosen]


def _squared(points: FloatArray, centre: FloatArray) -> FloatArray:
    distance = (points**2).sum(axis=1)[:, None] + (centre**2).sum(axis=1) - 2.0 * points @ centre.T
    return np.maximum(distance, 0.0)


def silhouette(points: FloatArray, members: IntArray) -> float:
    """Return the mean silhouette of a clustering, from −1 to 1; a cluster of one point counts 0, one cluster −1.

    Examples
    --------
    >>> points = np.array([[0.0], [0.0], [1.0], [1.0]])
    >>> silhouette(points, np.array([0, 0, 1, 1])), silhouette(points, np.array([0, 1, 0, 1]))
    (1.0, -0.5)
    """
    number = int(members.max(initial=0)) + 1
    if number < 2:
        return -1.0
    own = members[:, None] == np.arange(number)
    size = own.sum(axis=0)
    total = np.sqrt(_squared(points, points)) @ own
    inside = total[own] / np.maximum(size[members] - 1, 1)
    outside = np.where(own, np.inf, total / size).min(axis=1)
    larger = np.maximum(inside, outside)
    width = np.where((size[members] > 1) & (larger > 0), (outside - inside) / np.where(larger > 0, larger, 1.0), 0.0)
    return float(width.mean())


def mean_rows(rows: FloatArray, members: IntArray, number: int) -> FloatArray:
    """Return the mean of each cluster's rows, (number, size); NaN for a cluster without rows."""
    size = np.bincount(members, minlength=number)
    total = np.zeros((number, rows.shape[1]))
    np.add.at(total, members, rows)
    means: FloatArray = total / np.where(size > 0, size, np.nan)[:, None]
    return means


def nearest(rows: FloatArray, centre: FloatArray) -> IntArray:
    """Return the cluster of the largest cosine to each row; clusters without a centre (NaN) are left out."""
    cosine = to_unit(rows) @ to_unit(np.nan_to_num(centre)).T
    found: IntArray = np.where(np.isnan(centre[:, 0]) if centre.shape[1] else False, -np.inf, cosine).argmax(axis=1)
    return found


def matched(resemblance: FloatArray) -> IntArray:
    """Return the distinct column of every row, so that the total resemblance is largest.

    There must not be more rows than columns.

    Examples
    --------
    >>> matched(np.array([[0.9, 0.8], [0.7, 0.1]]))
    array([1, 0])
    """
    problem = AlignmentProblem(resemblance, client_demand=1, expert_capacity=1)
    assigned = solve(problem).assigned
    assert assigned is not None  # a matching exists, because there are enough columns
    return assigned.experts
