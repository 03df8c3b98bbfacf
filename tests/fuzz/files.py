"""Files: problems, solutions and states are damaged, and read, solved and verified.

Whatever is in a file, it is read, or refused in one line; never a traceback, a hang, or much memory for what a file
only declares. A damaged solution that is accepted must be true.
"""

import contextlib
import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import numpy as np
from typer.testing import CliRunner

from alignsolve import Aligner, CapacityProfiler, load_state, save_state, solve
from alignsolve.certificate.verify import verify
from alignsolve.cli import app
from alignsolve.io import load_problem, load_solution, save_problem, save_solution
from alignsolve.io.record_file import FileError
from tests.fuzz import claims
from tests.fuzz.checks import takes
from tests.fuzz.draw import draw
from tests.fuzz.fields import Drawn
from tests.fuzz.pick import pick
from tests.fuzz.problems import with_truth
from tests.fuzz.tally import Fault, Tally
from tests.fuzz.truth import Truth
from tests.fuzz.watch import EVERY_ERROR, HangError, in_time, peak_memory
from tests.rounds import reports_of

MEMORY = 1 << 30
"""Bytes by which a damaged file may raise the memory of the process."""
LONGEST = 1500
"""Bytes of a file that are printed."""
EXIT_CODES = {0, 2, 3, 10, 20, 30}
NASTY: list[Any] = [
    None, True, False, 0, -1, 1, 0.5, 1e308, -1e308, 5e-324, 2**31, 2**53 + 1, 10**30, 10**400, "inf", "-inf", "nan",
    "",     "x", "OPTIMAL", "INFEASIBLE", [], {}, [[]], [None], ["nan"], [[1.0], [2.0, 3.0]], {"shape": [0, 3]},
    {"shape": [2**31 - 1, 0]}, "../x", "header", [0, 0], [2**40], [-1],
]  # fmt: skip
"""What may stand where something else is expected."""
DTYPES = ("f8", "f4", "f2", "i8", "i1", "u8", "?", ">f8", "c16", "U3", "M8[s]", "S2", "V3")


class Case(NamedTuple):
    """Files that are sound, and what is true of them."""

    drawn: Drawn
    truth: Truth
    problem: Path
    solution: Path
    state: Path
    aligner: Aligner


def example(rng: np.random.Generator, tally: Tally) -> Fault | None:
    """Damage one file, several times; return the first fault."""
    suffix = (".json", ".npz")[int(rng.integers(2))]
    case = _case(rng, suffix)
    if case is None:
        return None
    for _ in range(8):
        which = ("problem", "solution", "solution", "state")[int(rng.integers(4))]
        whole = getattr(case, which)
        bad = whole.with_name(f"bad{suffix}")
        bad.write_bytes(damaged(rng, whole.read_bytes(), suffix))
        before = peak_memory()
        told = _told(case, which, bad, by_command=rng.random() < 0.3)
        tally.counts["files"] += 1
        if told is None and peak_memory() - before > MEMORY:
            told = f"reading took {(peak_memory() - before) >> 20} MiB"
        if told is not None:
            return Fault("", f"{which}: {told}", _code(bad, suffix))
    return None


FOLDER: list[Path] = []


def _case(rng: np.random.Generator, suffix: str) -> Case | None:
    """Write a sound problem, its solution, and a state."""
    if not FOLDER:
        FOLDER.append(Path(mkdtemp(prefix="alignsolve-fuzz-")))
    drawn = draw(rng)
    made = with_truth(drawn)
    if made is None:
        return None
    name = claims.able(made[0])[0]
    paths = [FOLDER[0] / f"{name}{suffix}" for name in ("problem", "solution", "state")]
    solution = in_time(lambda: solve(made[0], name, threads=1, throw=False))
    save_problem(made[0], paths[0], overwrite=True)
    save_solution(solution, paths[1], overwrite=True)
    aligner = Aligner(capacity=CapacityProfiler(client_capacity=1))
    state = aligner.init(4, 3, seed=1)
    found, state = aligner.align(state, [0, 2, 3])
    save_state(paths[2], aligner.observe(state, reports_of(found, [0, 2, 3], 3, rng)), aligner)
    return Case(drawn, made[1], *paths, aligner)


def _told(case: Case, which: str, bad: Path, *, by_command: bool) -> str | None:
    """Read a damaged file; return what is wrong with that."""
    try:
        return in_time(lambda: _by_command(case, which, bad) if by_command and which != "state"
                       else READ[which](case, bad))  # fmt: skip
    except HangError:
        return "reading does not end"
    except EVERY_ERROR as error:
        return f"{type(error).__name__}: {str(error)[:300]}"


def _problem(case: Case, bad: Path) -> str | None:
    try:
        problem = load_problem(bad)
    except FileError as error:
        return _in_one_line(error)
    if problem.num_clients * problem.num_experts < 10_000:
        name = "greedy" if takes("greedy", problem.features) else claims.able(problem)[0]
        solve(problem, name, throw=False)
    return None


def _solution(case: Case, bad: Path) -> str | None:
    problem = load_problem(case.problem)
    try:
        claim = load_solution(bad)
        checked = verify(problem, claim)
    except FileError as error:
        return _in_one_line(error)
    except ValueError as error:  # of another shape
        return None if "the claim is about" in str(error) else f"ValueError: {error}"
    false = claims.lie(case.truth, claim)
    return f"a lie is accepted: {false}" if false is not None and claims.accepted(checked) else None


def _state(case: Case, bad: Path) -> str | None:
    try:
        state = load_state(bad, case.aligner)
    except FileError as error:
        return _in_one_line(error)
    with contextlib.suppress(ValueError), warnings.catch_warnings():  # numbers that no round leaves behind
        warnings.simplefilter("ignore", RuntimeWarning)
        case.aligner.align(state, [0])
    return None


READ: dict[str, Callable[[Case, Path], str | None]] = {"problem": _problem, "solution": _solution, "state": _state}


def _by_command(case: Case, which: str, bad: Path) -> str | None:
    """Use the command line: its exit codes are documented, and nothing is raised through it."""
    call = ["verify", str(case.problem), str(bad)] if which == "solution" else ["solve", str(bad), "--solver", "greedy"]
    result = CliRunner().invoke(app, call)
    if result.exit_code not in EXIT_CODES or not isinstance(result.exception, SystemExit | None):
        return f"alignsolve {call[0]}: exit {result.exit_code}, {type(result.exception).__name__}: {result.exception}"
    if which == "solution" and result.exit_code == 0:
        false = claims.lie(case.truth, load_solution(bad))
        return None if false is None else f"the command accepts a lie: {false}"
    return None


def _in_one_line(error: FileError) -> str | None:
    told = str(error)
    return (
        None if len(told) < 1000 and "\n" not in told.strip() else f"a message of {len(told)} characters: {told[:200]}"
    )


# Damage --------------------------------------------------------------------------------------------------------------


def damaged(rng: np.random.Generator, raw: bytes, suffix: str) -> bytes:
    """Change a file: its bytes, or its structure."""
    if rng.random() < 0.4:
        return _bytes(rng, raw)
    return _json(rng, raw) if suffix == ".json" else _archive(rng, raw)


def _bytes(rng: np.random.Generator, raw: bytes) -> bytes:
    """Flip, cut, repeat or insert bytes."""
    data = bytearray(raw)
    for _ in range(int(rng.integers(1, 4))):
        if not data:
            break
        at, size = int(rng.integers(len(data))), int(rng.integers(1, 20))
        kind = int(rng.integers(5))
        if kind == 0:
            data[at] = int(rng.integers(256))
        elif kind == 1:
            del data[at : at + size]
        elif kind == 2:
            data[at:at] = data[at : at + size]
        elif kind == 3:
            data[at:at] = pick(rng, [b"9" * 20, b"[" * 50, b"\x00" * 8, b"e999", b"-", b"NaN"]).item()
        else:
            del data[at:]
    return bytes(data)


def _json(rng: np.random.Generator, raw: bytes) -> bytes:
    """Put something nasty into a place of the record."""
    record = json.loads(raw)
    for _ in range(int(rng.integers(1, 3))):
        record = _changed(rng, record)
    return json.dumps(record).encode()


def _changed(rng: np.random.Generator, value: Any) -> Any:
    """Change a value somewhere inside."""
    if isinstance(value, dict) and value and rng.random() < 0.95:
        name = list(value)[int(rng.integers(len(value)))]
        kind = rng.random()
        if kind < 0.1:
            return {key: part for key, part in value.items() if key != name}
        if kind < 0.2:
            return {**value, str(pick(rng, ["x", "eligible", "stored", "fitness", "prices", "seed"])): _nasty(rng)}
        return {**value, name: _changed(rng, value[name])}
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = int(rng.integers(len(value)))
        return [*value[:at], _changed(rng, value[at]), *value[at + int(rng.random() < 0.9) :]]
    return _nasty(rng)


def _nasty(rng: np.random.Generator) -> Any:
    return NASTY[int(rng.integers(len(NASTY)))]


def _archive(rng: np.random.Generator, raw: bytes) -> bytes:
    """Write an archive anew, one member of it changed."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[int(rng.integers(len(members)))]
    if name == "header.npy":
        header = np.load(io.BytesIO(members[name])).item()
        members[name] = _npy(np.array(json.dumps(_changed(rng, json.loads(header)))))
    elif rng.random() < 0.15:
        del members[name]
    else:
        members[name] = _npy(_array(rng, np.load(io.BytesIO(members[name]))))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if rng.random() < 0.3 else zipfile.ZIP_STORED) as archive:
        for key, data in members.items():
            archive.writestr(key, data)
    return out.getvalue()


def _npy(array: Any) -> bytes:
    data = io.BytesIO()
    np.save(data, array, allow_pickle=True)
    return data.getvalue()


def _array(rng: np.random.Generator, array: Any) -> Any:
    """Change an array: a number, its shape, its type."""
    kind = int(rng.integers(6))
    if kind == 0 and array.size:
        wide = array.astype(np.float64)
        wide.reshape(-1)[int(rng.integers(wide.size))] = pick(rng, [np.nan, np.inf, -np.inf, 1e300, -1.0, 2**53, 0.5])
        return wide
    if kind == 1:
        return array[None]
    if kind == 2:
        return array.reshape(-1)[: int(rng.integers(array.size + 1))]
    if kind == 3:
        with np.errstate(all="ignore"):
            return np.zeros(array.shape, dtype=str(pick(rng, DTYPES)))
    if kind == 4:
        return np.array([{"a": 1}, None], dtype=object)
    return np.asfortranarray(np.broadcast_to(array.reshape(-1)[:1] if array.size else 0.0, (3, 7)))


def _code(bad: Path, suffix: str) -> str:
    raw = bad.read_bytes()
    return f"# {raw.decode(errors='replace')}" if suffix == ".json" and len(raw) < LONGEST else "# too long to print"
