"""StoredPairs: a sparse matrix by rows. Only the pairs that it stores are eligible; the full matrix is never made.

A stored 0 is a pair with fitness 0. What is not stored is no pair. Matrices of :mod:`scipy.sparse` are read by their
own methods, so scipy is not imported here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.data.blocks import BLOCK_ENTRIES
from alignsolve.numerics import BoolArray, IntArray, RealArray

FORMATS = ("csr", "csc", "coo", "lil", "dok")
"""Formats of scipy.sparse that are read. The blocks of bsr and the diagonals of dia hold zeros that nobody stored."""
BLOCK_ROWS = 1 << 14
"""Clients of a block at most, however few pairs they have."""


class Slots(NamedTuple):
    """Some rows side by side, as wide as the widest of them.

    Attributes
    ----------
    clients
        (n,) the rows.
    experts
        (n, width) int32: the expert of each slot, ascending; any expert where the slot is empty.
    filled
        (n, width) bools: which slots hold a pair.
    place
        (n, width) int64: where the slot's pair stands among all stored pairs.
    """

    clients: IntArray
    experts: npt.NDArray[np.int32]
    filled: BoolArray
    place: IntArray

    def read(self, field: Any) -> Any:
        """Return a field of the pairs, (n, width): StoredPairs of one pattern, or a value spread over all pairs.

        Empty slots hold any value; of bools, False.
        """
        if isinstance(field, StoredPairs):
            values = field.values[self.place]
            return values & self.filled if field.dtype == np.bool_ else values
        return field[self.clients[:, None], self.experts]


@dataclass(frozen=True, eq=False)
class StoredPairs:
    """Pairs of clients and experts with a value each, by client.

    Attributes
    ----------
    shape
        (num_clients, num_experts).
    indptr
        (num_clients + 1,) int64: client i has the pairs indptr[i]..indptr[i + 1] − 1.
    experts
        (num_pairs,) int32, ascending for each client, none twice.
    values
        (num_pairs,)

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> pairs = read_stored("fitness", csr_array([[0.0, 3.0], [2.0, 0.0]]))
    >>> pairs.clients().tolist(), pairs.experts.tolist(), pairs.values.tolist()
    ([0, 1], [1, 0], [3.0, 2.0])
    """

    shape: tuple[int, int]
    indptr: IntArray
    experts: npt.NDArray[np.int32]
    values: RealArray

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.values.dtype

    def __len__(self) -> int:
        """Stored pairs."""
        return len(self.experts)

    def clients(self) -> npt.NDArray[np.int32]:
        """Return the client of every pair, (num_pairs,), beside ``experts``."""
        return np.repeat(np.arange(self.shape[0], dtype=np.int32), np.diff(self.indptr))

    def client_of(self, place: int) -> int:
        """Return the client of one pair."""
        return int(np.searchsorted(self.indptr, place, side="right")) - 1

    def valued(self, values: RealArray) -> "StoredPairs":
        """Return the same pairs with other values, (num_pairs,)."""
        return StoredPairs(self.shape, self.indptr, self.experts, values)

    def places(self, clients: npt.NDArray[Any], experts: npt.NDArray[Any]) -> IntArray:
        """Find pairs among the stored ones: (num_asked,) their places, −1 for those that are not stored."""
        low, end = self.indptr[clients], self.indptr[clients + 1]
        high = end.copy()
        # All pairs are looked for at once, each by halving its client's row.
        while (unsure := np.flatnonzero(low < high)).size:
            middle = (low[unsure] + high[unsure]) // 2
            before = self.experts[middle] < experts[unsure]
            low[unsure[before]] = middle[before] + 1
            high[unsure[~before]] = middle[~before]
        found = np.flatnonzero(low < end)
        found = found[self.experts[low[found]] == experts[found]]
        places = np.full(len(low), -1, dtype=np.int64)
        places[found] = low[found]
        return places

    def slots(self, rows: slice | IntArray) -> Slots:
        """Lay some rows side by side."""
        begin = self.indptr[:-1][rows]
        count = self.indptr[1:][rows] - begin
        rank = np.arange(int(count.max(initial=0)))
        filled = rank < count[:, None]
        place = np.where(filled, begin[:, None] + rank, 0)
        return Slots(np.arange(self.shape[0])[rows], self.experts[place], filled, place)

    def cuts(self) -> Iterator[tuple[int, int]]:
        """Cut the clients into blocks whose slots stay in the cache."""
        count, start = np.diff(self.indptr), 0
        while start < len(count):
            widest = np.maximum.accumulate(count[start : start + BLOCK_ROWS])
            entries = widest * np.arange(1, len(widest) + 1)
            stop = start + max(1, int(np.searchsorted(entries, BLOCK_ENTRIES, side="right")))
            yield start, stop
            start = stop

    def to_dense(self) -> npt.NDArray[Any]:
        """Spread into a (num_clients, num_experts) matrix, 0 where nothing is stored."""
        matrix = np.zeros(self.shape, dtype=self.dtype)
        matrix[self.clients(), self.experts] = self.values
        return matrix


def is_sparse(given: Any) -> bool:
    """Whether this is a matrix of scipy.sparse, or pairs that were read from one."""
    return isinstance(given, StoredPairs) or (hasattr(given, "tocoo") and hasattr(given, "format"))


def read_stored(field: str, given: Any) -> StoredPairs:
    """Read a matrix of scipy.sparse; arrays that have the right form already are not copied.

    Raises
    ------
    ValueError
        If the format cannot be read, an index lies outside of the matrix, or a pair is stored twice.
    """
    if isinstance(given, StoredPairs):
        return _checked(field, given.indptr, given.experts, given.values, given.shape)
    if given.format not in FORMATS or len(given.shape) != 2:
        raise ValueError(
            f"{field} is a sparse matrix of format {given.format!r} and shape {given.shape}; it must be one of "
            f"{', '.join(FORMATS)}, (num_clients, num_experts): convert it with {field}.tocsr()"
        )
    if given.format == "csr":
        return _checked(field, given.indptr, given.indices, given.data, given.shape)
    return _checked(field, *_by_rows(field, given.tocoo(copy=False)), given.shape)


def _by_rows(field: str, matrix: Any) -> tuple[IntArray, npt.NDArray[Any], RealArray]:
    """Sort pairs by client; scipy's own conversion would add up what is stored twice."""
    clients, experts = (np.asarray(axis) for axis in (matrix.row, matrix.col))
    if len(clients) and not (clients.min() >= 0 and clients.max() < matrix.shape[0]):
        raise ValueError(f"{field} stores a pair of client {clients.max()}; there are {matrix.shape[0]} clients")
    order = np.argsort(clients, kind="stable")
    indptr = np.zeros(matrix.shape[0] + 1, dtype=np.int64)
    np.cumsum(np.bincount(clients, minlength=matrix.shape[0]), out=indptr[1:])
    return indptr, experts[order], matrix.data[order]


def _checked(
    field: str, indptr: npt.NDArray[Any], experts: npt.NDArray[Any], values: npt.NDArray[Any], shape: Any
) -> StoredPairs:
    """Check the form, and sort the experts of every client where they are not."""
    shape = (int(shape[0]), int(shape[1]))
    if indptr.dtype.kind not in "iu" or experts.dtype.kind not in "iu":
        raise ValueError(f"indptr and experts of {field} must be integers, not {indptr.dtype} and {experts.dtype}")
    indptr = indptr.astype(np.int64, copy=False)
    if indptr.shape != (shape[0] + 1,) or indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any():
        raise ValueError(f"the indptr of {field} must be {shape[0] + 1} numbers that rise from 0")
    num_pairs = int(indptr[-1])
    if num_pairs > min(len(experts), len(values)) or experts.ndim != 1 or values.ndim != 1:
        raise ValueError(f"{field} holds fewer pairs than the {num_pairs} that its indptr names")
    if num_pairs < max(len(experts), len(values)):
        experts, values = experts[:num_pairs], values[:num_pairs]
    if num_pairs and not (experts.min() >= 0 and experts.max() < shape[1]):
        wrong = int(np.argmax((experts < 0) | (experts >= shape[1])))
        client = int(np.searchsorted(indptr, wrong, side="right")) - 1
        raise ValueError(f"{field} stores a pair of client {client} and expert {experts[wrong]}; "
                         f"there are {shape[1]} experts")  # fmt: skip
    experts = experts.astype(np.int32, copy=False)
    falls = _not_rising(indptr, experts)
    if len(falls) and (experts[falls + 1] < experts[falls]).any():
        order = np.lexsort((experts, np.repeat(np.arange(shape[0]), np.diff(indptr))))
        experts, values = experts[order], values[order]
        falls = _not_rising(indptr, experts)
    pairs = StoredPairs(shape, indptr, experts, values)
    if len(falls):
        where = int(falls[0])
        raise ValueError(
            f"{field} stores client {pairs.client_of(where)}, expert {experts[where]} twice ({values[where]} and "
            f"{values[where + 1]}): keep one of them, or add them up with {field}.sum_duplicates()"
        )
    return pairs


def _not_rising(indptr: IntArray, experts: npt.NDArray[np.int32]) -> IntArray:
    """Places after which a client's next expert is not larger."""
    begins = np.zeros(len(experts) + 1, dtype=np.bool_)
    begins[indptr] = True
    return np.flatnonzero((experts[1:] <= experts[:-1]) & ~begins[1:-1])
