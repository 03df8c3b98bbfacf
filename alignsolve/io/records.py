"""Problems and solutions in files, .npz or .json by the suffix, exact to the last bit.

A problem's record holds the arguments of :class:`~alignsolve.AlignmentProblem` by name and nothing else. So a user can
write one by hand: ``{"format": "alignsolve problem", "version": 1, "fitness": [[3.0, 1.0]]}``. Broadcast values are
stored once: a scalar capacity is one number, not one per client. A fitness that is too large for the record is a folder
(:mod:`alignsolve.io.fitness_folder`). The record then holds the folder's path, ``"fitness": "large.fitness"``, relative
to the record's folder; it must not lead out of that folder.

The record of a sparse problem has the rows of its stored pairs, ``indptr`` and ``experts``. ``stored`` names the fields
that hold one value for each of these pairs, the fitness among them.
"""

import difflib
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.certificate.verify import Claim
from alignsolve.data.alignment import Alignment
from alignsolve.data.blocks import RowBlocks
from alignsolve.data.labels import NAMES
from alignsolve.data.names import Name, Names
from alignsolve.data.stored import StoredPairs, read_stored
from alignsolve.io.fitness_folder import DTYPES, load_fitness, save_fitness
from alignsolve.io.record_file import NOT_FINITE, FileError, as_array, check_output, is_shape, read_record, write_record
from alignsolve.io.tree_record import NAMES as TREE
from alignsolve.io.tree_record import read_tree, tree_arrays
from alignsolve.problem import FIELDS, AlignmentProblem
from alignsolve.solution import Proof, Solution, Status

LARGEST_NUMBER = 10**300
"""Largest whole number of an objective or a bound; it still fits a float."""
LONGEST_NAME = 80
"""Characters of an unknown field's name that are looked at and shown."""
SPREAD_PAIRS = 1 << 27
"""Most pairs over which a record may spread fewer numbers: memory is taken for pairs, not for what the file holds."""
WHOLE = ("eligible", "required", "previous")
"""Fields that, like the fitness, the problem does not broadcast; they are broadcast to ``shape`` when read."""
ROWS = ("indptr", "experts", "stored")
"""What the record of a sparse problem holds besides the fields."""
SOLVED = ("prices", "witness_experts", "set_prices", "witness_sets")
"""Arrays of a solution's record besides the alignment."""
SIDES = ("demand", "capacity", "row")


def save_problem(
    problem: AlignmentProblem, path: str | Path, *, overwrite: bool = False, chunked: bool = False
) -> None:
    """Write a problem.

    Parameters
    ----------
    problem, path
        The problem, and the file to write: .npz or .json.
    overwrite
        Replace an existing file.
    chunked
        Write the fitness chunk by chunk into a folder beside the record, with the record's name and the suffix
        .fitness. Use it for a fitness that does not fit in memory; otherwise the whole fitness is read.

    Raises
    ------
    FileError
        If the suffix is neither .npz nor .json, or the file exists (unless ``overwrite``) or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> problem = AlignmentProblem([[3.0, 1.0], [2.0, 1.5]], expert_capacity=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_problem(problem, f"{folder}/small.json")
    ...     load_problem(f"{folder}/small.json")
    AlignmentProblem(2 clients x 2 experts, cardinality: fractional values, hard expert capacities)
    """
    check_output(path, overwrite=overwrite)
    fields = {name: getattr(problem, name) for name in FIELDS if getattr(problem, name) is not None}
    values = {"shape": list(problem.shape), "fitness_dtype": np.dtype(problem.fitness.dtype).name}
    values |= _given_names(problem)
    if chunked and problem.stored is not None:
        raise FileError(path, "a sparse fitness is not written in chunks: it is small enough for the record")
    if problem.stored is not None:
        stored = [name for name, value in fields.items() if isinstance(value, StoredPairs)]
        values["stored"] = stored
        fields |= {name: fields[name].values for name in stored}
        fields |= {"indptr": problem.stored.indptr, "experts": problem.stored.experts}
    elif chunked:
        folder = Path(path).with_suffix(".fitness")
        save_fitness(fields.pop("fitness"), folder, overwrite=overwrite)
        values["fitness"] = folder.name
    else:
        fields["fitness"] = problem.fitness[: problem.num_clients]
    arrays = {name: _compact(array, keep=name in {"client_budget", "expert_cost"}) for name, array in fields.items()}
    write_record(path, "problem", values, arrays, overwrite=overwrite)


def _compact(array: npt.NDArray[Any], *, keep: bool) -> npt.NDArray[Any]:
    """Reduce each broadcast axis to one entry; ``keep`` the last axis, the resources, at its full length."""
    index = [slice(0, 1) if stride == 0 else slice(None) for stride in array.strides]
    if keep:
        index[-1] = slice(None)
    return array[tuple(index)]


def load_problem(path: str | Path) -> AlignmentProblem:
    """Read a problem; a fitness that is a folder is mapped, not read.

    Parameters
    ----------
    path
        A record of a problem, .npz or .json.

    Raises
    ------
    FileError
        If the file cannot be read, is not a problem, is truncated, holds pickled objects or another version, or if a
        field is unknown, missing or invalid.
    """
    record = read_record(path, "problem")
    shape, dtype = record.pop("shape", None), record.pop("fitness_dtype", None)
    _check_names(path, record, known=(*FIELDS, *NAMES, *ROWS), needed=("fitness",))
    named = _read_names(path, record)
    fitness, stored = record.pop("fitness"), record.pop("stored", None)
    fields: dict[str, Any] = {name: as_array(path, name, value) for name, value in record.items()}
    size = None if shape is None else _read_shape(path, shape)
    if stored is not None or not fields.keys().isdisjoint(ROWS):
        fields["fitness"] = _read_fitness(path, fitness, None, dtype)
        fields = _read_stored(path, fields, stored, size)
    elif isinstance(fitness, str):
        fields["fitness"] = _read_folder(path, fitness, size, dtype)
    else:
        fields["fitness"] = _read_fitness(path, fitness, size, dtype)
    if size is not None:
        others = [name for name in WHOLE if isinstance(fields.get(name), np.ndarray)]
        fields |= {name: _spread(path, name, fields[name], size) for name in others}
    try:
        return AlignmentProblem(**fields, **named)
    except (ValueError, OverflowError, MemoryError) as error:
        raise FileError(path, f"is not a problem: {error}") from error


def _given_names(owner: AlignmentProblem | Claim) -> dict[str, list[Name]]:
    """Return the names that there are, for a record."""
    return {name: list(getattr(owner, name)) for name in NAMES if getattr(owner, name) is not None}


def _read_names(path: str | Path, record: dict[str, Any]) -> dict[str, Names]:
    """Take the names out of a record; the problem checks them."""
    found: dict[str, Names] = {}
    for name in NAMES:
        given = record.pop(name, None)
        if given is None:
            continue
        if not isinstance(given, list) or not all(type(each) in {str, int} for each in given):
            raise FileError(path, f"{name} must be a list of texts or whole numbers, not {given!r:.80}")
        found[name] = tuple(given)
    return found


def _check_names(path: str | Path, record: dict[str, Any], *, known: Collection[str], needed: Collection[str]) -> None:
    for name in record:
        if name not in known:
            near = difflib.get_close_matches(name[:LONGEST_NAME], known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(known)}"
            raise FileError(path, f"has an unknown field, {name[:LONGEST_NAME]!r}{hint}")
    for name in needed:
        if name not in record:
            raise FileError(path, f"the field {name!r} is missing")


def _read_fitness(path: str | Path, value: Any, size: tuple[int, int] | None, dtype: Any) -> npt.NDArray[Any]:
    fitness = as_array(path, "fitness", value)
    if fitness is None:
        raise FileError(path, "the field 'fitness' is missing")
    fitness = _restored(path, fitness, dtype)
    return fitness if size is None else _spread(path, "fitness", fitness, size)


def _read_stored(path: str | Path, fields: dict[str, Any], stored: Any, size: tuple[int, int] | None) -> dict[str, Any]:
    """Read the rows of the stored pairs; the fields that have a value for each of them become sparse ones."""
    indptr, experts = fields.pop("indptr", None), fields.pop("experts", None)
    if size is None or indptr is None or experts is None:
        raise FileError(path, "a sparse problem needs the fields 'shape', 'indptr' and 'experts'")
    named = stored if isinstance(stored, list) else []
    if "fitness" not in named or not all(name in FIELDS and fields.get(name) is not None for name in named):
        raise FileError(path, f"stored is {stored!r:.80}; it must list the fitness and other fields of the file")
    if not experts.size:
        experts = experts.astype(np.int32)
    for name in named:
        if fields[name].shape != experts.shape:
            raise FileError(
                path, f"{name} has shape {fields[name].shape}, experts has {experts.shape}; they must agree"
            )
    try:
        return fields | {name: read_stored(name, StoredPairs(size, indptr, experts, fields[name])) for name in named}
    except ValueError as error:
        raise FileError(path, f"is not a problem: {error}") from error


def _read_folder(path: str | Path, name: str, size: tuple[int, int] | None, dtype: Any) -> RowBlocks:
    """Map the folder that a record names; paths out of the record's folder are refused, as records may be foreign."""
    inside = PurePosixPath(name)
    if not name or inside.is_absolute() or ".." in inside.parts or "\\" in name or "\0" in name:
        raise FileError(path, f"fitness is {name!r:.80}; it must be numbers, or the path of a folder beside this file")
    try:
        fitness = load_fitness(Path(path).parent / name)
    except FileError as error:
        raise FileError(path, f"fitness: {error}") from error
    found = np.dtype(fitness.dtype).name
    if size is not None and size != fitness.shape:
        raise FileError(path, f"its shape is {list(size)}, that of its fitness in {name} is {list(fitness.shape)}")
    if dtype is not None and dtype != found:
        raise FileError(path, f"fitness_dtype is {dtype!r}, its fitness in {name} is {found}")
    return fitness


def _restored(path: str | Path, fitness: npt.NDArray[Any], dtype: Any) -> npt.NDArray[Any]:
    """Restore the dtype of the fitness, which JSON does not keep."""
    if dtype is None or dtype == fitness.dtype.name:
        return fitness
    if dtype not in DTYPES:
        raise FileError(path, f"fitness_dtype is {dtype!r}; it must be one of {', '.join(DTYPES)}")
    with np.errstate(over="ignore", invalid="ignore"):
        restored = fitness.astype(dtype)
    if not np.array_equal(restored, fitness, equal_nan=True):
        raise FileError(path, f"its fitness holds values that are not {dtype}, the type that it names")
    return restored


def _read_shape(path: str | Path, shape: Any) -> tuple[int, int]:
    if not is_shape(shape) or len(shape) != 2:
        raise FileError(path, f"the shape is {shape}; it must be [num_clients, num_experts]")
    return (shape[0], shape[1])


def _spread(path: str | Path, name: str, array: Any, shape: tuple[int, int]) -> npt.NDArray[Any]:
    pairs = shape[0] * shape[1]
    if pairs > max(SPREAD_PAIRS, array.size):
        raise FileError(path, f"its shape declares {shape[0]} x {shape[1]} pairs, {name} holds {array.size} numbers")
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise FileError(path, f"{name} has shape {array.shape}, which does not fit the shape {shape}") from None


def save_solution(solution: Solution | Claim, path: str | Path, *, overwrite: bool = False) -> None:
    """Write a solution, for :func:`load_solution` and ``alignsolve verify``.

    Parameters
    ----------
    solution
        A solution, or the claim that :func:`load_solution` returned.
    path
        The file to write: .npz or .json.
    overwrite
        Replace an existing file.

    Raises
    ------
    FileError
        If the suffix is neither .npz nor .json, or the file exists (unless ``overwrite``) or cannot be written.
    """
    claim = Claim.of(solution) if isinstance(solution, Solution) else solution
    values = {
        "shape": list(claim.shape),
        "status": str(claim.status),
        "proof": str(claim.proof),
        "objective": claim.objective,
        "bound": claim.bound,
        "solver": claim.solver,
        "witness_side": claim.witness_side,
        **_given_names(claim),
    }
    indptr, experts = claim.assigned if claim.assigned is not None else (None, None)
    arrays = {"indptr": indptr, "experts": experts} | {name: getattr(claim, name) for name in SOLVED}
    given = {name: array for name, array in arrays.items() if array is not None} | tree_arrays(claim.tree)
    write_record(path, "solution", values, given, overwrite=overwrite)


def load_solution(path: str | Path) -> Claim:
    """Read the claims of a solution file; :func:`alignsolve.certificate.verify.verify` checks them.

    Parameters
    ----------
    path
        A record of a solution, .npz or .json.

    Returns
    -------
    Claim
        The claims, unchecked.

    Raises
    ------
    FileError
        If the file cannot be read, is not a solution, is truncated, holds pickled objects or another version, or if a
        field is unknown, missing or of a wrong type.
    """
    record = read_record(path, "solution")
    plain = ("shape", "status", "proof", "objective", "bound", "solver", "witness_side")
    arrays = ("indptr", "experts", *SOLVED)
    _check_names(path, record, known=plain + arrays + TREE + NAMES, needed=("shape", "status", "proof", "bound"))
    shape = _read_shape(path, record["shape"])
    side = _choice(path, "witness_side", record.get("witness_side"), (None, *SIDES))
    prices = as_array(path, "prices", record.get("prices"))
    if prices is not None and prices.shape != (shape[1],):
        raise FileError(path, f"prices have shape {prices.shape}, expected {(shape[1],)}")
    bound = _scalar(path, "bound", record["bound"])
    if bound is None:
        raise FileError(path, "the field 'bound' is missing")
    return Claim(
        shape=shape,
        status=Status(_choice(path, "status", record["status"], tuple(Status))),
        proof=Proof(_choice(path, "proof", record["proof"], tuple(Proof))),
        objective=_scalar(path, "objective", record.get("objective")),
        bound=bound,
        assigned=_read_alignment(path, record),
        prices=None if prices is None else prices.astype(np.float64),
        witness_side=side,
        witness_experts=_read_members(path, record.get("witness_experts"), shape[1]),
        solver=str(record.get("solver") or ""),
        tree=read_tree(path, record),
        **_names_that_fit(path, record, shape),
        set_prices=_read_of_sets(path, record, "set_prices", "iuf", np.float64),
        witness_sets=_read_of_sets(path, record, "witness_sets", "iu", np.int64),
    )


def _read_of_sets(path: str | Path, record: dict[str, Any], name: str, kinds: str, dtype: Any) -> Any:
    """Read a list of numbers, one for each set of experts; None if there is none."""
    values = as_array(path, name, record.get(name))
    if values is None:
        return None
    if values.ndim != 1 or (values.size and values.dtype.kind not in kinds):
        raise FileError(path, f"{name} must be a list of numbers, one for each set of experts")
    return values.astype(dtype)


def _names_that_fit(path: str | Path, record: dict[str, Any], shape: tuple[int, int]) -> dict[str, Any]:
    """Read the names of a solution; those of clients and experts must have the length of their axis."""
    found = _read_names(path, record)
    for name, count in zip(NAMES, shape, strict=False):
        if name in found and len(found[name]) != count:
            raise FileError(path, f"{name} has {len(found[name])} names, its shape says {count}")
    return found


def _choice(path: str | Path, name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    if not isinstance(value, (str, type(None))) or value not in choices:
        listed = ", ".join(str(choice) for choice in choices if choice is not None)
        raise FileError(path, f"{name} is {value!r}; it must be one of {listed}")
    return value


def _scalar(path: str | Path, name: str, value: Any) -> float | int | None:
    if isinstance(value, str) and value in NOT_FINITE and value != "nan":
        return NOT_FINITE[value]
    if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise FileError(path, f"{name} is a whole number of {len(str(abs(value)))} digits; no problem has such a value")
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    raise FileError(path, f"{name} is {value!r:.40}; it must be a number")


def _read_alignment(path: str | Path, record: dict[str, Any]) -> Alignment | None:
    """Read (indptr, experts) without checking that they form an alignment; ``verify`` does that."""
    parts = [as_array(path, name, record.get(name)) for name in ("indptr", "experts")]
    if parts[0] is None and parts[1] is None:
        return None
    for name, part in zip(("indptr", "experts"), parts, strict=True):
        if part is None:
            raise FileError(path, f"the field {name!r} is missing: an alignment is indptr and experts")
        if part.ndim != 1 or (part.size and part.dtype.kind not in "iu"):
            raise FileError(path, f"{name} must be a list of whole numbers, not {part.dtype} of shape {part.shape}")
    return Alignment(*(part.astype(np.int64) for part in parts if part is not None))


def _read_members(path: str | Path, value: Any, num_experts: int) -> npt.NDArray[np.int64] | None:
    members = as_array(path, "witness_experts", value)
    if members is None:
        return None
    whole = members.ndim == 1 and (not members.size or members.dtype.kind in "iu")
    if not whole or (members.size and (members.min() < 0 or members.max() >= num_experts)):
        raise FileError(path, f"witness_experts must be indices of experts, 0..{num_experts - 1}")
    return members.astype(np.int64)
