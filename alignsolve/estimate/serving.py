"""Which experts serve which cluster of clients: clusters may be more or fewer than experts.

With fewer clusters than experts, every cluster gets an expert, and each further expert goes to the cluster with the
most clients for each of its experts (D'Hondt's rule of seats). With more clusters, the most similar ones share an
expert: clusters are merged by average linkage of their centres' cosines, weighted by clients, until as many groups are
left as experts. Experts keep the clusters that they served before, as far as the numbers allow.
"""

import numpy as np

from alignsolve.estimate.geometry import to_unit
from alignsolve.estimate.kmeans import matched
from alignsolve.numerics import BoolArray, FloatArray, IntArray


def serving(size: FloatArray, centre: FloatArray, before: BoolArray) -> BoolArray:
    """Return which expert serves which cluster, (num_clusters, num_experts).

    Parameters
    ----------
    size
        (num_clusters,) clients of each cluster; 0 if the name is not in use.
    centre
        (num_clusters, width) centres; those of unused names are not read.
    before
        (num_clusters, num_experts) what served in the last round; all False at first.

    Examples
    --------
    >>> serving(np.array([6.0, 2.0]), np.eye(2), np.zeros((2, 4), dtype=bool)).astype(int)
    array([[1, 0, 1, 1],
           [0, 1, 0, 0]])
    """
    used, num_experts = np.flatnonzero(size > 0), before.shape[1]
    serves = np.zeros_like(before)
    if len(used) == 0:
        return serves
    if len(used) > num_experts:
        group = _groups(size[used], to_unit(centre[used]), num_experts)
        shared = np.array([before[used[group == g]].T @ size[used[group == g]] for g in range(num_experts)])
        serves[used, matched(shared.astype(np.float64))[group]] = True
        return serves
    serves[used] = _divided(size[used], before[used])
    return serves


def _divided(size: FloatArray, before: BoolArray) -> BoolArray:
    """Divide the experts among clusters that are not more."""
    seats, num_experts = np.ones(len(size), dtype=np.int64), before.shape[1]
    for _ in range(num_experts - len(size)):
        seats[(size / seats).argmax()] += 1
    serves = np.zeros_like(before)
    for k, own in enumerate(before):  # keep what served before, without taking an expert twice
        serves[k, [j for j in np.flatnonzero(own) if not serves[:, j].any()][: seats[k]]] = True
    for j in np.flatnonzero(~serves.any(axis=0)):
        # A cluster without an expert goes first, so that a first round gives expert k to cluster k.
        lacking = seats - serves.sum(axis=1)
        serves[np.lexsort((np.arange(len(size)), serves.sum(axis=1), lacking <= 0))[0], j] = True
    return serves


def _groups(size: FloatArray, centre: FloatArray, number: int) -> IntArray:
    """Merge the most similar clusters until ``number`` groups are left; return each cluster's group."""
    group, sums, weight = np.arange(len(size)), size[:, None] * centre, size.astype(np.float64)
    while len(sums) > number:
        means = sums / weight[:, None]
        cosine = means @ means.T  # of means of unit vectors: the average over pairs of members
        np.fill_diagonal(cosine, -np.inf)
        one, other = sorted(np.unravel_index(int(cosine.argmax()), cosine.shape))
        sums[one] += sums[other]
        weight[one] += weight[other]
        sums, weight = np.delete(sums, other, axis=0), np.delete(weight, other)
        group[group == other] = one
        group[group > other] -= 1
    return group
