"""K-means whose clusters keep their names from round to round, and the choice of their number.

**Number.** K domains differ from their common mean in K − 1 directions. So the features of their clients have K − 1
principal components that noise does not explain, however unequal or mixed the domains are. The size of noise is found
by flipping the sign of every entry at random: this keeps the sizes of all entries and destroys what rows have in common
(sign-flip parallel analysis: Hong, Sheng and Dobriban, arXiv 2012.02985). Components above the largest one of the
flipped rows count. The mean silhouette was tried instead. Where clients mix domains, it gave another number in every
round.

**Clusters.** Lloyd's algorithm with several k-means++ starts (Arthur and Vassilvitskii, 2007), in the span of these
components, where noise of other directions is left out.

**Names** are matched by an exact assignment: new cluster c gets the name of the old centre that it resembles, so that
the total cosine is largest.
"""

import numpy as np

from alignsolve.estimate.geometry import to_unit
from alignsolve.front import solve
from alignsolve.numerics import FloatArray, IntArray
from alignsolve.problem import AlignmentProblem

STARTS, TURNS = 10, 25
"""Starts of k-means, and most steps of each."""
FLIPS = 4
"""Draws of random signs, of which the largest component counts."""
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
    least, most = min(least, len(rows)), min(most, len(rows))
    values, vectors = np.linalg.eigh(rows @ rows.T)
    values, vectors = values[::-1], vectors[:, ::-1]
    number = least
    if least < most:
        number = min(max(least, 1 + int((values > noise_edge(rows, rng)).sum())), most)
    spanned = max(number - 1, 1)
    points = vectors[:, :spanned] * np.sqrt(np.maximum(values[:spanned], 0.0))
    return _lloyd(points, number, STARTS, rng)


def noise_edge(rows: FloatArray, rng: np.random.Generator) -> float:
    """Return the largest squared principal component that rows of such entries have if they have nothing in common."""
    edge = 0.0
    for _ in range(FLIPS):
        flipped = np.where(rng.random(rows.shape) < 0.5, -rows, rows)
        edge = max(edge, float(np.linalg.eigvalsh(flipped @ flipped.T)[-1]))
    return edge


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
