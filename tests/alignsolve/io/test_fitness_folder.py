"""A fitness folder gives back the matrix that was written, for all chunk sizes; bad folders are refused."""

import json
import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from alignsolve import AlignmentProblem, RowBlocks, solve
from alignsolve.cli import ExitCode, app
from alignsolve.io import load_problem, save_problem
from alignsolve.io.fitness_folder import DTYPES, load_fitness, save_fitness
from alignsolve.io.record_file import FileError
from alignsolve.subproblem.dispatch import COMPILED_FROM
from problems import FAMILIES

GOOD = {"format": "alignsolve fitness", "version": 1, "shape": [3, 2], "dtype": "float64"}


def matrix_of(dtype, shape=(10, 3)) -> np.ndarray:
    rng = np.random.default_rng(1)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return rng.normal(size=shape).astype(kind)
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, size=shape, dtype=kind, endpoint=True)


def tree(folder) -> dict:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# Round trips


@pytest.mark.parametrize("rows", [1, 3, 10, 11, None])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_round_trips_bit_for_bit(dtype, rows, tmp_path):
    matrix = matrix_of(dtype)
    save_fitness(matrix, tmp_path / "f", chunk_rows=rows)
    loaded = load_fitness(tmp_path / "f")
    assert (loaded.shape, loaded.dtype) == (matrix.shape, matrix.dtype)
    assert loaded[0:10].tobytes() == matrix.tobytes()
    assert len(list((tmp_path / "f").glob("*.npy"))) == -(-10 // (rows or 10))


@given(
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=6),
    rows=st.integers(1, 9),
    cut=st.tuples(st.integers(0, 45), st.integers(0, 45)),
    picked=st.sets(st.integers(0, 41)),
)
@settings(deadline=None)
def test_any_rows_are_read_across_any_boundaries(lengths, rows, cut, picked, tmp_path_factory):
    ends = np.cumsum([0, *lengths])
    matrix = np.arange(ends[-1] * 2.0).reshape(-1, 2)
    folder = tmp_path_factory.mktemp("cut") / "f"
    save_fitness((matrix[a:b] for a, b in pairwise(ends)), folder, chunk_rows=rows)
    loaded = load_fitness(folder)
    chosen = np.array(sorted(i for i in picked if i < len(matrix)), dtype=np.int64)
    assert loaded.shape == matrix.shape
    assert np.array_equal(loaded[slice(*cut)], matrix[slice(*cut)])
    assert np.array_equal(loaded.pick(chosen), matrix[chosen])


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (1, 1)])
def test_empty_and_tiny_matrices_round_trip(shape, tmp_path):
    save_fitness(np.ones(shape), tmp_path / "f")
    loaded = load_fitness(tmp_path / "f")
    assert loaded.shape == shape
    assert loaded[0 : shape[0]].tolist() == np.ones(shape).tolist()


def test_arrays_of_any_layout_mapped_files_and_row_blocks_give_the_same_folder(tmp_path):
    matrix = matrix_of("float32", (50, 4))
    np.save(tmp_path / "m.npy", matrix)
    wide = np.zeros((50, 9), dtype=np.float32)
    wide[:, ::2][:, :4] = matrix
    given_as = {
        "array": matrix,
        "fortran": np.asfortranarray(matrix),
        "strided": wide[:, ::2][:, :4],
        "swapped": matrix.astype(">f4"),
        "mapped": np.load(tmp_path / "m.npy", mmap_mode="r"),
        "blocks": RowBlocks((50, 4), np.float32, lambda a, b: matrix[a:b]),
        "generator": (matrix[i : i + 1] for i in range(50)),
    }
    for name, fitness in given_as.items():
        save_fitness(fitness, tmp_path / name, chunk_rows=7)
        assert tree(tmp_path / name) == tree(tmp_path / "array"), name


def test_a_generator_may_reuse_its_block(tmp_path):
    def blocks():
        block = np.empty((2, 2))
        for i in range(5):
            block[:] = i
            yield block

    save_fitness(blocks(), tmp_path / "f", chunk_rows=3)
    assert load_fitness(tmp_path / "f")[0:10][:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_rows_within_a_chunk_are_a_read_only_view(tmp_path):
    save_fitness(np.ones((6, 2)), tmp_path / "f", chunk_rows=3)
    block = load_fitness(tmp_path / "f")[3:5]
    assert block.base is not None
    assert not block.flags.writeable


def test_a_chunk_written_by_numpy_is_read(tmp_path):
    matrix = np.asfortranarray(matrix_of("float64", (3, 2)))
    np.save(tmp_path / "mine.npy", matrix)
    (tmp_path / "manifest.json").write_text(json.dumps({**GOOD, "chunks": [{"file": "mine.npy", "rows": 3}]}))
    assert np.array_equal(load_fitness(tmp_path)[0:3], matrix)


# Writing


def test_nothing_is_overwritten_unasked(tmp_path):
    save_fitness(np.ones((3, 2)), tmp_path / "f")
    before = tree(tmp_path / "f")
    with pytest.raises(FileError, match="is not empty: choose another name, or pass overwrite=True"):
        save_fitness(np.zeros((3, 2)), tmp_path / "f")
    assert tree(tmp_path / "f") == before


def test_overwriting_replaces_all_chunks_and_touches_nothing_else(tmp_path):
    save_fitness(np.ones((9, 2)), tmp_path / "f", chunk_rows=2)
    (tmp_path / "f" / "notes.npy").write_bytes(b"mine")
    old = load_fitness(tmp_path / "f")
    save_fitness(old, tmp_path / "f", chunk_rows=4, overwrite=True)
    assert len(list((tmp_path / "f").glob("chunk-*.npy"))) == 3
    assert (tmp_path / "f" / "notes.npy").read_bytes() == b"mine"
    for loaded in (old, load_fitness(tmp_path / "f")):
        assert loaded[0:9].tolist() == np.ones((9, 2)).tolist()


def test_a_failure_leaves_the_old_fitness_and_no_traces(tmp_path):
    def failing():
        yield np.zeros((4, 2))
        raise RuntimeError("no more")

    save_fitness(np.ones((9, 2)), tmp_path / "f", chunk_rows=2)
    before = tree(tmp_path / "f")
    for folder in ("f", "fresh"):
        with pytest.raises(RuntimeError, match="no more"):
            save_fitness(failing(), tmp_path / folder, chunk_rows=2, overwrite=True)
    assert tree(tmp_path / "f") == before
    assert not (tmp_path / "fresh").exists()


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([], "the fitness has no blocks"),
        ([np.ones((2, 3)), np.ones((2, 4))], "block 1 of the fitness is float64 with 4 experts; the first is float64"),
        ([np.ones((2, 3)), np.ones((2, 3), dtype=int)], "block 1 of the fitness is int64 with 3 experts"),
        ([np.ones(3)], "block 0 of the fitness is float64 of shape"),
        ([np.ones((2, 3), dtype=complex)], "block 0 of the fitness is complex128"),
        ([np.full((1, 1), None)], "block 0 of the fitness is object"),
    ],
)
def test_blocks_that_do_not_agree_are_refused(blocks, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        save_fitness(iter(blocks), tmp_path / "f")
    assert not (tmp_path / "f").exists()


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="is not a folder"):
        save_fitness(np.ones((1, 1)), tmp_path / "file", overwrite=True)
    with pytest.raises(FileError, match="cannot be made: No such file or directory"):
        save_fitness(np.ones((1, 1)), tmp_path / "none" / "f")
    with pytest.raises(ValueError, match="chunk_rows is 0"):
        save_fitness(np.ones((1, 1)), tmp_path / "f", chunk_rows=0)


# Hostile folders


def refused(folder, message, load=load_fitness):
    with pytest.raises(FileError) as caught:
        load(folder)
    assert message in str(caught.value)
    return str(caught.value)


def manifest(folder, **changes):
    save_fitness(np.arange(6.0).reshape(3, 2), folder, chunk_rows=2)
    path = folder / "manifest.json"
    record = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in record.items() if value is not ...}))


FIRST, SECOND = {"file": "chunk-000000.npy", "rows": 2}, {"file": "chunk-000001.npy", "rows": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "alignsolve problem"}, "is an alignsolve problem, not an alignsolve fitness"),
        ({"version": 2}, "version 2; this alignsolve reads version 1"),
        ({"color": "red"}, "has an unknown field, 'color'"),
        ({"shape": ...}, "shape is None"),
        ({"shape": [3]}, "shape is [3]; it must be [num_clients, num_experts]"),
        ({"shape": [3, -2]}, "shape is [3, -2]"),
        ({"shape": [4, 2]}, "its chunks have 3 rows together, its shape says 4"),
        ({"shape": [2, 2]}, "its chunks have 3 rows together, its shape says 2"),
        ({"shape": [3, 5]}, "chunk-000000.npy: has shape (2, 2), manifest.json says (2, 5)"),
        ({"dtype": "float32"}, "chunk-000000.npy: holds float64, manifest.json says dtype float32"),
        ({"dtype": "object"}, "dtype is 'object'; it must be one of float64"),
        ({"dtype": ["float64"]}, "dtype is ['float64']; it must be one of float64"),
        ({"chunks": ...}, "chunks is None; it must be a list"),
        ({"chunks": {}}, "chunks is {}; it must be a list"),
        ({"chunks": []}, "its chunks have 0 rows together"),
        ({"chunks": ["chunk-000000.npy"]}, "chunk 0 is 'chunk-000000.npy'; it must be"),
        ({"chunks": [FIRST, {"file": "chunk-000001.npy"}]}, "chunk 1 is {'file'"),
        ({"chunks": [FIRST]}, "its chunks have 2 rows together"),
        ({"chunks": [FIRST, {**SECOND, "rows": 2}], "shape": [4, 2]}, "chunk-000001.npy: has shape (1, 2)"),
        ({"chunks": [FIRST, {**FIRST}], "shape": [4, 2]}, "file of chunk 1 is 'chunk-000000.npy', which an earlier"),
        ({"chunks": [FIRST, {**SECOND, "rows": 0}]}, "rows of chunk 1 is 0"),
        ({"chunks": [FIRST, {**SECOND, "rows": 1.0}]}, "rows of chunk 1 is 1.0"),
        ({"chunks": [FIRST, {**SECOND, "rows": True}]}, "rows of chunk 1 is True"),
        ({"chunks": [FIRST, {**SECOND, "file": "gone.npy"}]}, "gone.npy: is missing, or not a file"),
    ],
)
def test_a_bad_manifest_is_told_with_file_and_field(changes, message, tmp_path):
    manifest(tmp_path / "f", **changes)
    assert str(tmp_path / "f") in refused(tmp_path / "f", message)


@pytest.mark.parametrize(
    "name", ["../x.npy", "/x.npy", "a/x.npy", "..\\x.npy", "", ".npy", "..", ".hidden.npy", "x.npz", "x.npy\0", 7, None]
)
def test_chunks_lie_in_the_folder_itself(name, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((1, 2)))
    manifest(tmp_path / "f", chunks=[FIRST, {"file": name, "rows": 1}])
    refused(tmp_path / "f", "file of chunk 1 is ")


def test_a_damaged_chunk_is_told(tmp_path):
    manifest(tmp_path / "f")
    path = tmp_path / "f" / "chunk-000001.npy"
    whole = path.read_bytes()
    for content, message in [
        (whole[:-1], "is truncated"),
        (whole + b"\0", "is too long"),
        (whole[:20], "is not an .npy file that can be read"),
        (b"", "is not an .npy file that can be read"),
        (pickle.dumps([1.0]), "is not an .npy file that can be read"),
        (whole[:6] + b"\x09" + whole[7:], "version (9, 0) of the .npy format"),
    ]:
        path.write_bytes(content)
        assert str(path) in refused(tmp_path / "f", message)
    path.unlink()
    path.mkdir()
    refused(tmp_path / "f", "is missing, or not a file")


def test_pickled_objects_are_never_loaded(tmp_path):
    manifest(tmp_path / "f")
    np.save(tmp_path / "f" / "chunk-000001.npy", np.full((1, 2), None), allow_pickle=True)
    refused(tmp_path / "f", "contains pickled objects, which are never loaded")


def test_a_folder_without_manifest_is_no_fitness(tmp_path):
    refused(tmp_path, "manifest.json: cannot be read: No such file or directory")


# Problems


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_a_problem_keeps_its_fitness_in_a_folder(suffix, tmp_path):
    problem = FAMILIES["uniform"](np.random.default_rng(3), num_clients=30, num_experts=4)
    save_problem(problem, tmp_path / f"p{suffix}", chunked=True)
    with pytest.raises(FileError, match="exists already"):
        save_problem(problem, tmp_path / f"p{suffix}", chunked=True)
    loaded = load_problem(tmp_path / f"p{suffix}")
    assert isinstance(loaded.fitness, RowBlocks)
    assert loaded.values().tobytes() == problem.fitness.tobytes()
    assert repr(loaded) == repr(problem)
    save_problem(loaded, tmp_path / f"p{suffix}", chunked=True, overwrite=True)
    assert load_problem(tmp_path / f"p{suffix}").values().tobytes() == problem.fitness.tobytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": [4, 2]}, "its shape is [4, 2], that of its fitness in p.fitness is [3, 2]"),
        ({"fitness_dtype": "float32"}, "fitness_dtype is 'float32', its fitness in p.fitness is float64"),
        ({"fitness": "q.fitness"}, "fitness: "),
        ({"fitness": "../p.fitness"}, "fitness is '../p.fitness'; it must be numbers, or the path of a folder"),
        ({"client_capacity": [1, 2]}, "client_capacity has shape (2,)"),
    ],
)
def test_a_record_that_does_not_fit_its_folder_is_refused(changes, message, tmp_path):
    path = tmp_path / "p.json"
    save_problem(AlignmentProblem(np.ones((3, 2))), path, chunked=True)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    assert str(path) in refused(path, message, load_problem)


def test_what_a_problem_cannot_have_is_told_from_a_folder_too(tmp_path):
    fitness = np.ones((9, 2))
    fitness[7, 1] = np.nan
    save_fitness(fitness, tmp_path / "f", chunk_rows=4)
    (tmp_path / "p.json").write_text('{"format": "alignsolve problem", "version": 1, "fitness": "f"}')
    refused(tmp_path / "p.json", "fitness of client 7, expert 1 is nan", load_problem)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int32", "int8"])
@pytest.mark.parametrize("solver", ["price", "flow"])
def test_the_answer_does_not_depend_on_where_the_fitness_is(dtype, solver, tmp_path):
    """Arrays in both orders, mapped file, row blocks with and without ``take``, folder: bit-identical answers."""
    family = FAMILIES["popular"](np.random.default_rng(5), num_clients=3000, num_experts=8)
    matrix = (family.fitness * 100).astype(dtype)
    np.save(tmp_path / "m.npy", matrix)
    save_fitness(matrix, tmp_path / "f", chunk_rows=701)
    folder = load_fitness(tmp_path / "f")
    given_as = [
        matrix,
        np.asfortranarray(matrix),
        np.load(tmp_path / "m.npy", mmap_mode="r"),
        RowBlocks(matrix.shape, matrix.dtype, lambda a, b: matrix[a:b]),
        folder,
    ]
    bounds = {name: getattr(family, name) for name in ("client_capacity", "client_demand", "expert_capacity")}
    answers = [solve(AlignmentProblem(fitness, **bounds), solver, seed=1) for fitness in given_as]
    for one in answers:
        assert one.status == "OPTIMAL"
        assert one.objective == answers[0].objective
        assert one.bound == answers[0].bound
        assert one.prices.tobytes() == answers[0].prices.tobytes()
        assert one.assigned.experts.tobytes() == answers[0].assigned.experts.tobytes()
        assert one.assigned.indptr.tobytes() == answers[0].assigned.indptr.tobytes()


def test_rows_far_apart_are_picked_without_holding_what_lies_between():
    held = []

    def read(start, stop):
        held.append(stop - start)
        return np.repeat(np.arange(start, stop, dtype=np.float64)[:, None], 64, axis=1)

    blocks = RowBlocks((1_000_000, 64), np.float64, read)
    rows = np.arange(13, 1_000_000, 50_021)
    assert blocks.pick(rows)[:, 0].tolist() == rows.tolist()
    assert max(held) <= 4096


@pytest.mark.parametrize("dtype", [">f8", ">f4", ">i8", ">i4", "<f2"])
def test_large_problems_take_any_byte_order(dtype):
    """From this number of pairs on, compiled code does the checks."""
    fitness = (np.random.default_rng(2).random((33_000, 64)) * 1000).astype(dtype)
    assert fitness.size >= COMPILED_FROM
    native = fitness.astype(fitness.dtype.newbyteorder("="))
    swapped, plain = (solve(AlignmentProblem(each, expert_capacity=600), "price") for each in (fitness, native))
    assert swapped.status == "OPTIMAL"
    assert (swapped.objective, swapped.bound) == (plain.objective, plain.bound)


def test_the_command_line_solves_and_verifies_what_lies_in_a_folder(tmp_path):
    problem = FAMILIES["popular"](np.random.default_rng(6), num_clients=40, num_experts=5)
    path, out = tmp_path / "p.json", tmp_path / "s.json"
    save_problem(problem, path, chunked=True)
    assert CliRunner().invoke(app, ["solve", str(path), "-o", str(out)]).exit_code == ExitCode.OPTIMAL
    assert CliRunner().invoke(app, ["verify", str(path), str(out)]).exit_code == ExitCode.OPTIMAL
    assert json.loads(out.read_text())["objective"] == solve(problem).objective
    (tmp_path / "p.fitness" / "chunk-000000.npy").unlink()
    missing = CliRunner().invoke(app, ["solve", str(path)])
    assert missing.exit_code == ExitCode.BAD_INPUT
    assert "p.fitness/chunk-000000.npy: is missing" in missing.stderr
