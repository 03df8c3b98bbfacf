"""Alignment: which client trains which expert, as compressed rows (CSR); a dense matrix is made only on request."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import BoolArray, IntArray


class Alignment(NamedTuple):
    """The experts of every client in CSR form: client i trains ``experts[indptr[i]:indptr[i + 1]]``, ascending.

    Attributes
    ----------
    indptr
        (num_clients + 1,) int64, from 0 to the number of pairs.
    experts
        (num_pairs,) int64.

    Examples
    --------
    >>> Alignment.from_dense([[True, False], [True, True]])
    Alignment(indptr=array([0, 1, 3]), experts=array([0, 0, 1]))
    """

    indptr: IntArray
    experts: IntArray

    @classmethod
    def from_dense(cls, x: npt.ArrayLike) -> "Alignment":
        """Compress a (num_clients, num_experts) matrix of bools."""
        rows, experts = np.nonzero(np.asarray(x))
        return cls.from_pairs(rows, experts, len(np.asarray(x)))

    @classmethod
    def from_pairs(cls, clients: npt.ArrayLike, experts: npt.ArrayLike, num_clients: int) -> "Alignment":
        """Compress a list of (client, expert) pairs in any order."""
        rows, columns = np.asarray(clients, dtype=np.int64), np.asarray(experts, dtype=np.int64)
        order = np.lexsort((columns, rows))
        indptr = np.zeros(num_clients + 1, dtype=np.int64)
        np.cumsum(np.bincount(rows, minlength=num_clients), out=indptr[1:])
        return cls(indptr, columns[order])

    @property
    def num_clients(self) -> int:
        """Rows."""
        return len(self.indptr) - 1

    def clients(self) -> IntArray:
        """Return the client of every pair, (num_pairs,), beside ``experts``."""
        return np.repeat(np.arange(self.num_clients), np.diff(self.indptr))

    def to_dense(self, num_experts: int) -> BoolArray:
        """Spread into a (num_clients, num_experts) matrix of bools."""
        x = np.zeros((self.num_clients, num_experts), dtype=np.bool_)
        x[self.clients(), self.experts] = True
        return x


def as_alignment(given: Any, num_clients: int, num_experts: int) -> Alignment:
    """Read an alignment from its dense matrix or from (indptr, experts), and check its form.

    Raises
    ------
    ValueError
        If shapes, ranges or order are not those of an alignment of this size, or a pair stands twice.
    """
    if not isinstance(given, tuple):
        x = np.asarray(given)
        if x.shape != (num_clients, num_experts):
            raise ValueError(f"x has shape {x.shape}, expected {(num_clients, num_experts)}")
        if not np.isin(x, (0, 1)).all():
            raise ValueError("x has entries other than 0 and 1")
        return Alignment.from_dense(x)
    indptr, experts = (np.asarray(part) for part in given)
    if indptr.dtype.kind not in "iu" or (experts.size and experts.dtype.kind not in "iu"):
        raise ValueError(f"indptr and experts must be integers, not {indptr.dtype} and {experts.dtype}")
    indptr, experts = indptr.astype(np.int64, copy=False), experts.astype(np.int64, copy=False)
    if indptr.shape != (num_clients + 1,):
        raise ValueError(f"indptr has shape {indptr.shape}, expected {(num_clients + 1,)}")
    if indptr[0] != 0 or indptr[-1] != len(experts) or (indptr[1:] < indptr[:-1]).any():
        raise ValueError(f"indptr must rise from 0 to the number of pairs, {len(experts)}")
    if experts.size and (experts.min() < 0 or experts.max() >= num_experts):
        raise ValueError(f"experts must lie in 0..{num_experts - 1}; found {experts.min()}..{experts.max()}")
    begins = np.zeros(len(experts) + 1, dtype=np.bool_)
    begins[indptr] = True
    fails_to_rise = np.flatnonzero((experts[1:] <= experts[:-1]) & ~begins[1:-1])
    if (experts[fails_to_rise + 1] < experts[fails_to_rise]).any():
        rows = np.repeat(np.arange(num_clients), np.diff(indptr))
        return as_alignment(tuple(Alignment.from_pairs(rows, experts, num_clients)), num_clients, num_experts)
    if len(fails_to_rise):
        raise ValueError("a client is assigned the same expert twice")
    return Alignment(indptr, experts)
