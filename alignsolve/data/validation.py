"""Reads the fields of a problem: broadcasts shapes, checks values, and names field and place in every error."""

from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.data.blocks import RowBlocks, block_rows
from alignsolve.data.labels import refuse_mask
from alignsolve.data.names import PlaceError
from alignsolve.data.stored import StoredPairs, is_sparse, read_stored
from alignsolve.numerics import MAX_FLOAT, MAX_INTEGER, BoolArray, FloatArray, IntArray, RealArray

EMPTY_GROUPS = 1024
"""Groups without experts that a problem may have, unless it gives bounds for more."""


def fitness(given: Any) -> RealArray | RowBlocks | StoredPairs:
    """Read the fitness matrix: float16/32/64 or integers, (num_clients, num_experts), not copied."""
    if is_sparse(given):
        return _stored_fitness(read_stored("fitness", given))
    matrix: RealArray | RowBlocks = given if isinstance(given, RowBlocks) else _array("fitness", given)
    if len(matrix.shape) != 2:
        raise ValueError(f"fitness must have shape (num_clients, num_experts), not {matrix.shape}")
    dtype = np.dtype(matrix.dtype)
    if dtype.kind == "b" and isinstance(matrix, np.ndarray):
        return matrix.view(np.int8)
    _refuse_type(dtype)
    return matrix


def _refuse_type(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise ValueError(f"fitness must be float16, float32, float64 or an integer type, not {dtype}")


def _stored_fitness(pairs: StoredPairs) -> StoredPairs:
    """Check that the fitness of every stored pair is finite and of a size that sums can hold."""
    if pairs.dtype.kind == "b":
        return pairs.valued(pairs.values.view(np.int8))
    _refuse_type(pairs.dtype)
    limit = MAX_INTEGER if pairs.dtype.kind in "iu" else MAX_FLOAT
    low, high = pairs.values.min(initial=0).item(), pairs.values.max(initial=0).item()
    if not (low >= -limit and high <= limit):
        wide = pairs.values if pairs.dtype.kind in "iu" else pairs.values.astype(np.float64)
        place = int(np.argmin((wide >= -limit) & (wide <= limit)))
        _refuse_entry(
            "fitness", pairs.values[place], limit, pairs.client_of(place), int(pairs.experts[place]), "remove the pair"
        )
    return pairs


def check_fitness(matrix: RealArray | RowBlocks, eligible: BoolArray | None) -> float:
    """Check that fitness is finite and of a size that sums can hold, wherever the pair is eligible.

    Of a fitness that is not in memory only the first block is read; the others are checked whenever they are read.
    Returns the largest size of an entry that was read, ineligible ones too; inf where one of these is no number.
    """
    num_clients, num_experts = matrix.shape
    step, largest = block_rows(num_experts), 0.0
    for start in range(0, min(num_clients, step) if isinstance(matrix, RowBlocks) else num_clients, step):
        rows = slice(start, min(start + step, num_clients))
        largest = max(largest, check_block(matrix[rows], None if eligible is None else eligible[rows], rows))
    return largest


def check_block(block: RealArray, eligible: BoolArray | None, rows: slice | IntArray) -> float:
    """Check the fitness of some clients, named by ``rows``; return the largest size as :func:`check_fitness` does."""
    limit = MAX_INTEGER if block.dtype.kind in "iu" else MAX_FLOAT
    low, high = block.min(initial=0).item(), block.max(initial=0).item()
    if low >= -limit and high <= limit:
        return float(max(-low, high))
    wide = block if block.dtype.kind in "iu" else block.astype(np.float64)
    bad = ~((wide >= -limit) & (wide <= limit))
    if eligible is not None:
        bad &= eligible
    if bad.any():
        i, j = np.argwhere(bad)[0]
        client = rows.start + i if isinstance(rows, slice) else rows[i]
        _refuse_entry("fitness", block[i, j], limit, int(client), int(j))
    return np.inf


def _refuse_entry(
    field: str, value: Any, limit: float, i: int, j: int, instead: str = "mark the pair ineligible"
) -> None:
    place = (("client", i), ("expert", j))
    if np.isnan(value) or np.isinf(value):
        raise PlaceError(
            f"{field} of ", place, f" is {value}; it must be finite where the pair is eligible ({instead} instead)"
        )
    raise PlaceError(
        f"{field} of ", place, f" is {value}; sizes above {limit:.3g} cannot be summed exactly: rescale {field}"
    )


def counts(field: str, given: Any, shape: tuple[int, ...], axes: tuple[str, ...]) -> IntArray:
    """Read whole non-negative numbers, broadcast to ``shape``."""
    values = _array(field, given)
    if values.dtype.kind not in "iufb":
        raise ValueError(f"{field} must be whole numbers, not {values.dtype}")
    if values.dtype.kind == "f":
        values = values.astype(np.float64, copy=False)  # the largest integer is infinite in half precision
    with np.errstate(invalid="ignore"):
        wrong = ~((values == np.floor(values)) & (values >= 0) & (values <= MAX_INTEGER))
    if wrong.any():
        place = np.argwhere(wrong)[0]
        raise _wrong(
            field, place, axes[-values.ndim :], f" is {values[tuple(place)]}; it must be a whole number, 0 or more"
        )
    return spread(field, values.astype(np.int64), shape, axes)


def number_of_groups(group: IntArray, bounds: tuple[Any, ...]) -> int:
    """Count the groups, 0 to the largest number; refuse a number far beyond those that experts and bounds can need."""
    num_groups = int(group.max(initial=-1)) + 1
    named = max((np.shape(bound)[-1] for bound in bounds if np.ndim(bound)), default=0)
    if num_groups > max(EMPTY_GROUPS + len(group), named):
        raise PlaceError(
            "expert_group of ",
            [("expert", int(group.argmax()))],
            f" is {num_groups - 1}, but there are only {len(group)} experts; number the groups 0, 1, 2, … without "
            "large holes",
        )
    return num_groups


def amounts(
    field: str, given: Any, shape: tuple[int, ...], axes: tuple[str, ...], *, infinite: bool, signed: bool = False
) -> FloatArray:
    """Read real numbers (not NaN, not negative unless ``signed``), broadcast to ``shape``."""
    values = numbers(field, given)
    refuse_bad_amounts(field, values, axes[-values.ndim :] if values.ndim else (), infinite=infinite, signed=signed)
    return spread(field, values, shape, axes)


def is_number(value: Any) -> bool:
    """Whether a value is one real number: no bool, no text, no array of several."""
    return isinstance(value, Real) and not isinstance(value, bool)


def numbers(field: str, given: Any) -> FloatArray:
    """Read real numbers of any shape."""
    return _array(field, given, np.float64)


def _array(field: str, given: Any, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
    refuse_mask(field, given)
    try:
        return np.asarray(given, dtype=dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{field} must be an array of numbers in even rows: {error}") from None


def prices(given: Any, number: int, more: int = 0, field: str = "prices") -> FloatArray:
    """Read finite prices, negative ones too: one per expert, or as many ``more`` for sets of experts."""
    values = numbers(field, given)
    if values.shape not in {(number,), (number + more,)}:
        raise ValueError(f"{field} have shape {values.shape}, expected {(number,)}")
    axis = "num_sets" if field == "set_prices" else "num_experts"
    return refuse_bad_amounts(field, values, (axis,), infinite=False, signed=True)


def check_resources(budget: FloatArray, cost: FloatArray) -> None:
    """Refuse costs whose axes do not match the axes of the budgets."""
    if budget.ndim > 2:
        raise ValueError(
            f"client_budget has shape {budget.shape}; it must be (num_clients,) or (num_clients, resources)"
        )
    if budget.ndim < 2 and cost.ndim not in {1, 2}:
        raise ValueError(
            f"expert_cost has shape {cost.shape}; with one budget for each client, shape {budget.shape}, it must be "
            "(num_experts,) or (num_clients, num_experts)"
        )
    if budget.ndim == 2 and (cost.ndim not in {2, 3} or cost.shape[-1] != budget.shape[1]):
        raise ValueError(
            f"expert_cost has shape {cost.shape}, which does not fit the {budget.shape[1]} resources of client_budget, "
            f"shape {budget.shape}: it must be (num_experts, {budget.shape[1]}) or "
            f"(num_clients, num_experts, {budget.shape[1]})"
        )


def refuse_bad_amounts(
    field: str,
    values: FloatArray,
    axes: tuple[str, ...],
    *,
    infinite: bool,
    signed: bool = False,
    eligible: BoolArray | None = None,
) -> FloatArray:
    """Raise for the first entry that is NaN, too large, or infinite or negative where it may not be.

    Such entries are allowed where the pair is ineligible; they are 0 in the result.
    """
    if _acceptable(unspread(values), infinite=infinite, signed=signed).all():
        return values
    good = _acceptable(values, infinite=infinite, signed=signed)
    if eligible is not None:
        values, good = np.where(eligible | good, values, 0.0), good | ~eligible
        if good.all():
            return values
    place = np.argwhere(~good)[0]
    kind = "a number" if infinite else "a finite number"
    sign = "" if signed else ", 0 or more"
    raise _wrong(field, place, axes, f" is {values[tuple(place)]}; it must be {kind}{sign}")


def _acceptable(values: FloatArray, *, infinite: bool, signed: bool) -> BoolArray:
    with np.errstate(invalid="ignore"):
        good: BoolArray = np.abs(values) <= MAX_FLOAT
        if infinite:
            good |= np.isposinf(values)
        if not signed:
            good &= values >= 0
    return good


def unspread(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the distinct part of a broadcast array, so that a scalar spread over a matrix is checked once."""
    index = tuple(slice(0, 1) if stride == 0 else slice(None) for stride in values.strides)
    return values[index]


def flags(field: str, given: Any, shape: tuple[int, int]) -> BoolArray:
    """Read a (num_clients, num_experts) matrix of bools."""
    values = _array(field, given)
    if values.dtype != np.bool_:
        if values.dtype.kind not in "iuf" or not np.isin(values, (0, 1)).all():
            raise ValueError(f"{field} must be bools (or 0 and 1), not {values.dtype}")
        values = values.astype(np.bool_)
    if values.shape != shape:
        raise ValueError(f"{field} has shape {values.shape}, fitness has {shape}; they must agree")
    return values


def spread(field: str, values: npt.NDArray[Any], shape: tuple[int, ...], axes: tuple[str, ...]) -> npt.NDArray[Any]:
    """Broadcast without copying, aligned at the last axis; the error of a wrong length names both shapes."""
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        wanted = ", ".join(axes)
        raise ValueError(f"{field} has shape {values.shape}, which does not fit ({wanted}) = {shape}") from None


def _wrong(field: str, index: npt.NDArray[Any], axes: tuple[str, ...], why: str) -> PlaceError:
    """The error of one entry: ``client_load of client 3, expert 2 is …``."""
    singular = [axis.removeprefix("num_").removesuffix("s") for axis in axes]
    place = [(name, int(position)) for name, position in zip(singular, index, strict=True)] if len(index) else []
    return PlaceError(f"{field} of " if place else field, place, why)
