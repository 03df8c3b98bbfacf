"""The arrays of a proof tree in a solution's record: ``tree_client``, ``tree_expert`` and so on, in few bytes."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.certificate.tree import ProofTree
from alignsolve.io.record_file import FileError, as_array

NAMES = ("tree_client", "tree_expert", "tree_taken", "tree_prices", "tree_part")
"""The fields of :class:`~alignsolve.certificate.tree.ProofTree` in its order; the last one may be missing."""


def tree_arrays(tree: ProofTree | None) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a tree by their names in a record; none without a tree."""
    if tree is None:
        return {}
    arrays = {"tree_client": _short(tree.client), "tree_expert": _short(tree.expert), "tree_taken": tree.taken}
    arrays["tree_prices"] = tree.prices
    return arrays if tree.part is None else arrays | {"tree_part": _short(tree.part)}


def _short(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Whole numbers in the smallest signed type that holds them."""
    size = int(np.abs(values).max(initial=0))
    return values.astype(np.min_scalar_type(-size - 1))


def read_tree(path: str | Path, record: dict[str, Any]) -> ProofTree | None:
    """Read a tree without checking that it is one: the certificate does that. None if the record holds none of it.

    Raises
    ------
    FileError
        If an array is missing, or holds no numbers.
    """
    client, expert, taken, prices, part = (as_array(path, name, record.get(name)) for name in NAMES)
    if all(array is None for array in (client, expert, taken, prices, part)):
        return None
    if client is None or expert is None or taken is None or prices is None:
        raise FileError(path, f"a tree needs the fields {', '.join(NAMES[:-1])}")
    return ProofTree(client, expert, taken, prices.astype(np.float64), part)
