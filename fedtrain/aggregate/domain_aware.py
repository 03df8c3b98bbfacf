"""Weights by domain: FedMoE-DA (arXiv 2411.02115).

A holder's row of the router stands for the domain that the holder uses the expert for. Two holders whose rows point the
same way have the same domain. In FedMoE-DA, each holder mixes its expert with those of the holders
that are most like it. Here there is one expert for all: the mean of these mixtures. A holder whose domain is like many
others' counts more than one that is alone.

Reconstructed from a third party's code that cites equations 8 to 11 of the paper: R is the cosine of two rows; each
holder i keeps itself and the P others with the largest R; A_i is the softmax of R / τ over these. The weight of holder
j is the mean of A_ij over i, weighted by the holders' own weights.
"""

import numpy as np

from alignsolve.numerics import FloatArray
from fedtrain.aggregate.part import Part
from fedtrain.layouts import LayoutError

TIE = 1e-9
"""Difference up to which two cosines are the same."""


def domain_aware(part: Part) -> FloatArray:
    """Return the holders' weights by the likeness of their router's rows; the shared part keeps the weights it has.

    Rows are remembered for ``config.refresh`` rounds in which the expert is merged; a holder that is new in between
    brings its own. Rows of zeros are like no other.

    Raises
    ------
    LayoutError
        If the holders returned no row of the router for this expert.
    """
    if part.expert is None:
        return part.weights
    if part.router is None:
        raise LayoutError(
            f"aggregation.rule is 'domain-aware', which compares router rows; the weights have none for {part.name}: "
            "choose another rule, or name the router in the layout"
        )
    age = float(part.memory.get(part.key("age"), np.zeros(1))[0])
    if age >= part.config.refresh:
        part.forget()
        age = 0.0
    rows = part.recall("rows", part.router)
    part.remember(rows=rows)
    part.memory[part.key("age")] = np.array([age + 1.0])
    mixing = mixtures(rows, part.config.neighbours, part.config.temperature)
    return part.weights @ mixing / part.weights.sum()


def mixtures(rows: FloatArray, neighbours: int, temperature: float) -> FloatArray:
    """Return the shares of all holders in the mixture of each of them.

    Parameters
    ----------
    rows
        (num_holders, n) each holder's row of the router.
    neighbours
        Number of other holders in a mixture. Holders that tie with the last of them are in it, too.
    temperature
        Above 0. Towards 0 a holder mixes only with those of the same direction; large: with all its neighbours alike.

    Returns
    -------
    FloatArray
        (num_holders, num_holders) shares; rows sum to 1.

    Examples
    --------
    >>> mixtures(np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]), neighbours=1, temperature=1e-3)
    array([[0.5, 0.5, 0. ],
           [0.5, 0.5, 0. ],
           [0. , 0. , 1. ]])
    """
    norms = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
    units = rows / np.where(norms > 0.0, norms, 1.0)
    likeness = np.einsum("ik,jk->ij", units, units)  # unlike a matrix product, the same bits on any number of threads
    np.fill_diagonal(likeness, 1.0)
    # Keep each holder itself, and its nearest neighbours; the diagonal is the largest of its row.
    if neighbours < len(rows) - 1:
        others = likeness - 4.0 * np.eye(len(rows))
        last = np.sort(others, axis=1)[:, -neighbours][:, None]
        kept = (others >= last - TIE) | np.eye(len(rows), dtype=np.bool_)
    else:
        kept = np.ones(likeness.shape, dtype=np.bool_)
    with np.errstate(over="ignore"):  # a tiny temperature: the exponent is −∞, and the share 0
        powers = np.where(kept, np.exp((likeness - 1.0) / temperature), 0.0)
    return powers / powers.sum(axis=1, keepdims=True)
