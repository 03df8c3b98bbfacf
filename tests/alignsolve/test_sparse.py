"""Sparse problems: the stored pairs are the eligible ones, and everything is as in the full problem with them."""

import re
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alignsolve import AlignmentProblem, Answer, Feature, Status, UnsupportedError, diagnose, join_layers, solve
from alignsolve.certificate.judge import judge
from alignsolve.io import load_problem, save_problem
from alignsolve.io.record_file import FileError
from alignsolve.layers import LayeredProblem
from tests import strategies

PAIRS = sp.csr_array(([3.0, 1.0, 0.0, 2.0], [0, 2, 1, 2], [0, 2, 3, 4]), shape=(3, 4))
"""Client 0: experts 0 and 2; client 1: expert 1, at fitness 0; client 2: expert 2."""


def stored(matrix, mask):
    """Store the entries of a full matrix that the mask names, zeros too."""
    rows, columns = np.nonzero(mask)
    return sp.coo_array((np.asarray(matrix)[rows, columns], (rows, columns)), shape=mask.shape)


def sparse_of(problem):
    """Return a full problem of the cardinality class as a sparse one."""
    eligible = np.ones(problem.shape, dtype=bool) if problem.eligible is None else problem.eligible
    assume(problem.required is None or not (problem.required & ~eligible).any())
    everywhere = np.ones(problem.shape, dtype=bool)
    flags = {name: stored(getattr(problem, name), everywhere) for name in ("required", "previous")
             if getattr(problem, name) is not None}  # fmt: skip
    switching = stored(problem.switching_cost, everywhere)
    return replace(problem, fitness=stored(problem.fitness, eligible), eligible=None, switching_cost=switching, **flags)


@st.composite
def both(draw):
    """Draw a full problem, the sparse one, and prices."""
    full = draw(strategies.cardinality_problems(max_clients=5, max_experts=5))
    return full, sparse_of(full), draw(strategies.prices(full.num_experts))


@settings(deadline=None)
@given(both(), st.randoms(use_true_random=False))
def test_a_sparse_problem_is_the_full_one(problems, random):
    full, sparse, prices = problems
    assert sparse.bound(prices) == pytest.approx(full.bound(prices), rel=1e-12, abs=1e-12)
    x = np.array([[random.random() < 0.4 for _ in range(full.num_experts)] for _ in range(full.num_clients)])
    x = x.reshape(full.shape)
    assert sparse.violations(x) == full.violations(x)
    x &= sparse.to_dense().eligible
    assert sparse.objective(x) == full.objective(x)
    assert sparse.class_ is full.class_
    assert sparse.integral == full.integral
    one, other = judge(sparse, Answer(x=x, prices=prices)), judge(full, Answer(x=x, prices=prices))
    assert (one.status, one.explain()) == (other.status, other.explain())


@settings(deadline=None)
@given(both())
def test_the_optimum_is_that_of_the_full_problem(problems):
    full, sparse, _ = problems
    one, other = solve(sparse, throw=False), solve(full, throw=False)
    assert one.status is other.status
    if one.objective is None:
        assert one.witness.side == other.witness.side
    else:
        scale = float(np.abs(sparse.values()).sum(dtype=np.float64))
        assert one.objective == pytest.approx(other.objective, rel=1e-9, abs=1e-12 * scale)


@settings(deadline=None, max_examples=30)
@given(both())
def test_a_full_copy_is_made_on_request(problems):
    full, sparse, prices = problems
    again = sparse.to_dense()
    assert again.stored is None
    assert again.to_dense() is again
    assert solve(again, "flow", throw=False).status is solve(full, "flow", throw=False).status
    assert again.bound(prices) == pytest.approx(full.bound(prices), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok"])
@pytest.mark.parametrize("make", [sp.csr_array, sp.csr_matrix])
def test_formats_are_read_alike(form, make):
    problem = AlignmentProblem(make(PAIRS).asformat(form), client_capacity=2)
    kept = 4 if form in {"csr", "csc", "coo"} else len(problem.stored)  # the others may drop the stored zero
    assert len(problem.stored) == kept
    assert solve(problem).objective == 6.0


def test_a_stored_zero_is_a_pair_and_what_is_not_stored_is_none():
    problem = AlignmentProblem(PAIRS, client_demand=1, expert_demand=[0, 1, 0, 0])
    assert solve(problem).assigned.experts.tolist() == [0, 1, 2]
    assert problem.features >= {Feature.SPARSE, Feature.ELIGIBILITY}
    with pytest.raises(ValueError, match="client 0 expert 1, a pair that the problem does not store"):
        problem.objective(np.eye(3, 4)[[1, 0, 2]])


def test_arrays_of_the_right_form_are_not_copied():
    problem = AlignmentProblem(PAIRS)
    assert problem.stored.values is PAIRS.data
    assert replace(problem, client_capacity=2).stored.experts is problem.stored.experts


def test_wide_and_unsorted_indices_are_read():
    given_ = sp.csr_array((np.array([1.0, 3.0]), np.array([2, 0], dtype=np.int64), np.array([0, 2], dtype=np.int64)))
    problem = AlignmentProblem(given_, client_capacity=2)
    assert problem.stored.experts.dtype == np.int32
    assert problem.stored.experts.tolist() == [0, 2]
    assert problem.stored.values.tolist() == [3.0, 1.0]
    assert given_.indices.tolist() == [2, 0]


def raw(values, experts, indptr, shape):
    """Return a matrix whose arrays scipy has not looked at."""
    matrix = sp.csr_array(shape)
    matrix.data, matrix.indices, matrix.indptr = np.array(values), np.array(experts), np.array(indptr)
    return matrix


@pytest.mark.parametrize(
    ("matrix", "told"),
    [
        (sp.csr_array(([1.0, 2.0], [1, 1], [0, 0, 2]), shape=(2, 3)), "client 1, expert 1 twice (1.0 and 2.0)"),
        (sp.coo_array(([1.0, 2.0], ([0, 0], [2, 2])), shape=(1, 3)), "client 0, expert 2 twice"),
        (sp.csr_array(([1.0, np.nan], [0, 1], [0, 1, 2]), shape=(2, 2)), "fitness of client 1, expert 1 is nan"),
        (sp.csr_array(([1.0, -np.inf], [0, 1], [0, 1, 2]), shape=(2, 2)), "remove the pair instead"),
        (sp.csr_array([[1 + 2j]]), "not complex128"),
        (sp.bsr_array(np.eye(2)), "fitness.tocsr()"),
        (sp.dia_array(np.eye(2)), "format 'dia'"),
        (raw([1.0], [5], [0, 1], (1, 3)), "client 0 and expert 5; there are 3 experts"),
        (raw([1.0], [-1], [0, 1], (1, 3)), "client 0 and expert -1"),
        (raw([1.0], [0], [0, 2], (1, 3)), "fewer pairs than the 2"),
        (raw([1.0], [0], [1, 1], (1, 3)), "must be 2 numbers that rise from 0"),
        (raw([1.0], [0.0], [0, 1], (1, 3)), "must be integers"),
    ],
)
def test_bad_matrices_are_refused_by_name(matrix, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        AlignmentProblem(matrix)


FLAGS = sp.csr_array(np.eye(3, 4, dtype=bool))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"eligible": np.ones((3, 4), dtype=bool)}, "the pairs that the fitness stores are the eligible ones"),
        ({"client_load": [1, 2, 3]}, "problem.to_dense()"),
        ({"client_budget": 3.0, "expert_cost": [1, 1, 1, 1]}, "has no budgets"),
        ({"required": np.eye(3, 4, dtype=bool)}, "required is not sparse, the fitness is"),
        ({"required": sp.csr_array(np.eye(3, 4)[:, ::-1])}, "required marks client 0, expert 3"),
        ({"required": FLAGS * 2.5}, "required must be bools"),
        ({"previous": FLAGS[:2]}, "previous has shape (2, 4), fitness has (3, 4)"),
        ({"switching_cost": np.ones((3, 4))}, "switching_cost is a full matrix"),
        ({"switching_cost": FLAGS * np.nan}, "switching_cost of client 0, expert 0 is nan"),
        ({"switching_cost": [np.nan, 0, 0, 0]}, "switching_cost of expert 0 is nan"),
    ],
)
def test_fields_that_do_not_fit_are_refused_by_name(fields, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        AlignmentProblem(PAIRS, **fields)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1), (4, 2)])
def test_no_stored_pair_at_all(shape):
    problem = AlignmentProblem(sp.csr_array(shape))
    assert solve(problem).objective == 0
    assert problem.bound(np.zeros(shape[1])) == 0
    assert problem.values().shape == (0,)
    if shape[0]:
        found = solve(replace(problem, client_demand=1), throw=False)
        assert found.status is Status.INFEASIBLE
        assert "client 0 demands 1 experts, it is eligible for 0" in found.explain()


def test_one_client_one_expert_and_empty_rows():
    assert solve(AlignmentProblem(sp.csr_array([[5]]))).objective == 5
    rows = AlignmentProblem(sp.csr_array([[0.0, 0.0], [2.0, 0.0], [0.0, 0.0]]), expert_demand=[1, 0])
    assert solve(rows).assigned.indptr.tolist() == [0, 0, 1, 1]
    short = replace(rows, expert_demand=[2, 0])
    assert "client 1 could serve" in solve(short, throw=False).explain()


def test_solvers_that_read_full_matrices_refuse_by_name():
    problem = AlignmentProblem(PAIRS)
    with pytest.raises(UnsupportedError, match=r"cannot take stored pairs; solvers that can: auto, .*to_dense"):
        solve(problem, "price")
    with pytest.raises(UnsupportedError, match="to_dense"):
        diagnose(problem)
    with pytest.raises(ValueError, match="layer 0 is sparse"):
        join_layers([problem])
    assert isinstance(join_layers([problem.to_dense()]), LayeredProblem)


def test_a_plain_function_takes_only_full_matrices():
    with pytest.raises(UnsupportedError, match="stored pairs"):
        solve(AlignmentProblem(PAIRS), lambda problem, **_: Answer())


def test_repr_soften_and_replace():
    problem = AlignmentProblem(PAIRS, expert_capacity=1)
    assert "3 clients x 4 experts" in repr(problem)
    assert "stored pairs" in repr(problem)
    soft = problem.soften(overload=0.5)
    assert soft.stored.experts is problem.stored.experts
    assert solve(soft).objective == 5.0
    assert solve(replace(problem, client_capacity=2)).objective == 5.0


def test_files_keep_sparse_fields(tmp_path):
    problem = AlignmentProblem(PAIRS, previous=FLAGS, required=FLAGS[:, ::1].multiply([1, 1, 1, 0]), switching_cost=0.5)
    for name in ("p.npz", "p.json"):
        save_problem(problem, tmp_path / name)
        again = load_problem(tmp_path / name)
        assert again.stored.values.tobytes() == problem.stored.values.tobytes()
        assert again.previous.values.tolist() == problem.previous.values.tolist()
        assert solve(again).objective == solve(problem).objective
    with pytest.raises(FileError, match="not written in chunks"):
        save_problem(problem, tmp_path / "q.npz", chunked=True)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('"shape": [1, 2], "indptr": [0, 1], "experts": [1]', "stored is None"),
        ('"shape": [1, 2], "indptr": [0, 1], "experts": [1], "stored": ["fitness", "color"]', "stored is"),
        ('"shape": [1, 2], "indptr": [0, 1], "experts": [1, 1], "stored": ["fitness"]', "they must agree"),
        ('"shape": [1, 2], "indptr": [0, 1], "experts": [7], "stored": ["fitness"]', "expert 7"),
        ('"indptr": [0, 1], "experts": [1], "stored": ["fitness"]', "needs the fields"),
        ('"shape": [1, 2], "stored": ["fitness"]', "needs the fields"),
    ],
)
def test_bad_files_are_refused(text, told, tmp_path):
    path = tmp_path / "p.json"
    path.write_text(f'{{"format": "alignsolve problem", "version": 1, "fitness": [1.5], {text}}}')
    with pytest.raises(FileError, match=re.escape(told)):
        load_problem(path)


def test_nothing_of_the_full_size_is_made(tmp_path):
    n = 30_000  # n × n bools would take 900 MB, floats eight times as much
    diagonals = [np.arange(1.0, n + 1), np.full(n - 1, 0.5)]
    problem = AlignmentProblem(
        sp.diags_array(diagonals, offsets=[0, 1], shape=(n, n)).tocsr(), expert_capacity=1, expert_demand=0
    )
    solve(AlignmentProblem(PAIRS))
    tracemalloc.start()
    solution = solve(problem)
    save_problem(problem, tmp_path / "p.npz")
    again = load_problem(tmp_path / "p.npz")
    assert again.violations(solution.assigned) == []
    assert again.bound(solution.prices) == solution.bound
    short = solve(replace(problem, client_demand=3, client_capacity=3), throw=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert solution.status is Status.OPTIMAL
    assert solution.objective == n * (n + 1) / 2
    assert "client 0 demands 3 experts, it is eligible for 2" in short.explain()
    assert peak < 200e6
