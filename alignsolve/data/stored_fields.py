"""Reads what a sparse problem says of its pairs besides the fitness: each field for the stored pairs alone."""

from typing import Any

import numpy as np

from alignsolve.data import validation
from alignsolve.data.names import PlaceError
from alignsolve.data.stored import StoredPairs, is_sparse, read_stored
from alignsolve.numerics import MAX_FLOAT, FloatArray, IntArray

REFUSED = {
    "eligible": "the pairs that the fitness stores are the eligible ones; remove the others from it",
    "client_load": "a sparse problem counts clients; make a full one with problem.to_dense() and replace its field",
    "expert_sets": "no solver takes stored pairs with sets; make a full one with problem.to_dense() and replace its "
    "fields",
    "optional_demand": "no solver takes stored pairs with optional demands; make a full problem with "
    "problem.to_dense() and replace its fields",
    "client_budget": "a sparse problem has no budgets; make a full one with problem.to_dense() and replace its fields",
    "expert_cost": "a sparse problem has no budgets; make a full one with problem.to_dense() and replace its fields",
}
"""Fields that a sparse problem cannot have, and what to do instead."""


def refuse_full_fields(problem: Any) -> None:
    """Refuse fields that a sparse problem cannot have."""
    for field, advice in REFUSED.items():
        if getattr(problem, field) is not None:
            raise ValueError(f"{field} is given with a sparse fitness: {advice}")


def stored_flags(field: str, given: Any, pairs: StoredPairs, *, inside: bool) -> StoredPairs:
    """Read a sparse matrix of bools: for every stored pair whether it is marked.

    Parameters
    ----------
    field, given
        The field, and a matrix of scipy.sparse.
    pairs
        The stored pairs of the fitness.
    inside
        Whether a mark on a pair that the fitness does not store is an error; otherwise it says nothing.
    """
    marked, places = _read(field, given, pairs)
    if marked.dtype != np.bool_ and (marked.dtype.kind not in "iuf" or not np.isin(marked.values, (0, 1)).all()):
        raise ValueError(f"{field} must be bools (or 0 and 1), not {marked.dtype}")
    true = marked.values.astype(np.bool_)
    strangers = np.flatnonzero(true & (places < 0))
    if inside and len(strangers):
        client, expert = marked.client_of(strangers[0]), marked.experts[strangers[0]]
        raise PlaceError(
            f"{field} marks ",
            [("client", client), ("expert", int(expert))],
            f", a pair that the fitness does not store: store its fitness, or take it out of {field}",
        )
    flags = np.zeros(len(pairs), dtype=np.bool_)
    flags[places[true & (places >= 0)]] = True
    return pairs.valued(flags)


def stored_amounts(field: str, given: Any, pairs: StoredPairs) -> StoredPairs | FloatArray:
    """Read finite numbers: a sparse matrix, 0 where it stores nothing; or one number, or one for each expert."""
    if is_sparse(given):
        amounts, places = _read(field, given, pairs)
        numbers = validation.numbers(field, amounts.values)
        bad = np.flatnonzero(~(np.abs(numbers) <= MAX_FLOAT) & (places >= 0))
        if len(bad):
            client, expert = amounts.client_of(bad[0]), amounts.experts[bad[0]]
            place = [("client", client), ("expert", int(expert))]
            raise PlaceError(f"{field} of ", place, f" is {numbers[bad[0]]}; it must be a finite number")
        values = np.zeros(len(pairs))
        values[places[places >= 0]] = numbers[places >= 0]
        return pairs.valued(values)
    axes = ("num_clients", "num_experts")
    spread = validation.amounts(field, given, pairs.shape, axes, infinite=False, signed=True)
    if spread.shape[0] > 1 and spread.strides[0] != 0:
        raise ValueError(
            f"{field} is a full matrix, the fitness is sparse: give one number, one for each expert, or a matrix of "
            "scipy.sparse"
        )
    return spread


def _read(field: str, given: Any, pairs: StoredPairs) -> tuple[StoredPairs, IntArray]:
    """Read a sparse matrix; the place of each of its pairs among those of the fitness, −1 where it has none."""
    if not is_sparse(given):
        raise ValueError(f"{field} is not sparse, the fitness is: give a matrix of scipy.sparse")
    read = read_stored(field, given)
    if read.shape != pairs.shape:
        raise ValueError(f"{field} has shape {read.shape}, fitness has {pairs.shape}; they must agree")
    if read.experts is pairs.experts and read.indptr is pairs.indptr:
        return read, np.arange(len(pairs))
    return read, pairs.places(read.clients(), read.experts)


def dense_fields(problem: Any) -> dict[str, Any]:
    """The fields of a sparse problem as full matrices, those of its pairs."""
    pairs: StoredPairs = problem.fitness
    fields: dict[str, Any] = {"eligible": pairs.valued(np.ones(len(pairs), dtype=np.bool_)).to_dense()}
    for name in ("fitness", "required", "previous", "switching_cost"):
        given = getattr(problem, name)
        fields[name] = given.to_dense() if isinstance(given, StoredPairs) else given
    return fields
