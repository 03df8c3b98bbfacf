"""Names of clients and experts: where they come from, that nothing loses them, and that messages say them."""

import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignsolve import AlignmentProblem, InfeasibleError, diagnose, join_layers, solve
from alignsolve.certificate.verify import Claim, verify
from alignsolve.io import load_problem, load_solution, save_problem, save_solution
from tests.strategies import problems

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")
CLIENTS, EXPERTS = ("Ann", "Bob"), ("x", "y")
FITNESS = [[3.0, 1.0], [2.0, 1.5]]


def with_names(**given):
    return AlignmentProblem(FITNESS, client_names=CLIENTS, expert_names=EXPERTS, **given)


def test_index_and_columns_of_a_frame_are_the_names():
    problem = AlignmentProblem(pandas.DataFrame(FITNESS, index=list(CLIENTS), columns=list(EXPERTS)))
    assert (problem.client_names, problem.expert_names) == (CLIENTS, EXPERTS)
    assert AlignmentProblem(pandas.DataFrame(FITNESS)).client_names is None


@pytest.mark.parametrize("library", [pandas, polars])
def test_a_frame_without_an_index_has_a_column_of_names(library):
    frame = library.DataFrame({"x": [3.0, 2.0], "client": ["Ann", "Bob"], "y": [1.0, 1.5]})
    problem = AlignmentProblem(frame)
    assert (problem.client_names, problem.expert_names, problem.fitness.tolist()) == (CLIENTS, EXPERTS, FITNESS)


def test_an_arrow_table_is_a_frame_too():
    arrow = pytest.importorskip("pyarrow")
    problem = AlignmentProblem(arrow.table({"who": ["Ann", "Bob"], "x": [3.0, 2.0], "y": [1.0, 1.5]}))
    assert (problem.client_names, problem.expert_names, problem.fitness.tolist()) == (CLIENTS, EXPERTS, FITNESS)


def test_two_columns_of_texts_are_refused():
    frame = polars.DataFrame({"who": ["Ann"], "where": ["Ulm"], "x": [1.0]})
    with pytest.raises(ValueError, match=r"'who', 'where' hold no numbers.*Call it 'client'"):
        AlignmentProblem(frame)


def test_a_frame_without_narwhals_is_refused_with_the_extra(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"fitness is a polars DataFrame.*alignsolve\[tables\]"):
        AlignmentProblem(polars.DataFrame({"x": [1.0]}))


def test_bounds_are_matched_by_their_own_axis():
    """Also where clients and experts have the same names in another order."""
    frame = pandas.DataFrame(FITNESS, index=["a", "b"], columns=["b", "a"])
    series = pandas.Series([1, 2], index=["a", "b"])
    problem = AlignmentProblem(frame, client_capacity=series, expert_capacity=series)
    assert (problem.client_capacity.tolist(), problem.expert_capacity.tolist()) == ([1, 2], [2, 1])


def test_a_frame_of_names_and_numbers_is_a_bound():
    capacity = polars.DataFrame({"client": ["Bob", "Ann"], "capacity": [2, 1]})
    assert with_names(client_capacity=capacity).client_capacity.tolist() == [1, 2]


def test_resources_are_matched_by_their_names():
    budget = pandas.DataFrame([[1.0, 5.0], [2.0, 6.0]], index=list(CLIENTS), columns=["memory", "seconds"])
    cost = pandas.DataFrame([[30, 3], [40, 4]], index=list(EXPERTS), columns=["seconds", "memory"])
    assert with_names(client_budget=budget, expert_cost=cost).expert_cost[0].tolist() == [[3, 30], [4, 40]]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["Ann"], "client_names has 1 names, there are 2 clients"),
        (["Ann", " Ann"], "clients 0 and 1 have one name, 'Ann'"),
        (["Ann", ""], "the name of client 1 is empty"),
        (["Ann", float("nan")], "the name of client 1 is empty"),
        ("Ann", "must be a list of names"),
        (["Ann", "\ud800"], "in a name is no character of Unicode"),
    ],
)
def test_names_that_cannot_be_names_are_refused(names, told):
    with pytest.raises(ValueError, match=told):
        AlignmentProblem(FITNESS, client_names=names)


def test_other_labels_are_told():
    with pytest.raises(ValueError, match=r"client_capacity has the labels 'Ann', 'Eve'.*'Eve' is not known; 'Bob' is"):
        with_names(client_capacity=pandas.Series([1, 2], index=["Ann", "Eve"]))


@given(problem=problems(), rng=st.integers(0, 99))
def test_a_labelled_problem_in_any_order_is_the_problem_of_arrays(problem, rng):
    rng = np.random.default_rng(rng)
    clients = [f"c{i}" for i in range(problem.num_clients)]
    experts = [f"e{j}" for j in range(problem.num_experts)]

    def shuffled(values):
        rows, columns = rng.permutation(problem.num_clients), rng.permutation(problem.num_experts)
        frame = pandas.DataFrame(values, index=clients, columns=experts)
        return frame.iloc[rows, columns]

    def series(values, names):
        return pandas.Series(values, index=names).iloc[rng.permutation(len(names))]

    labelled = AlignmentProblem(
        pandas.DataFrame(problem.fitness, index=clients, columns=experts),
        client_capacity=series(problem.client_capacity, clients),
        client_demand=series(problem.client_demand, clients),
        expert_capacity=series(problem.expert_capacity, experts),
        expert_demand=series(problem.expert_demand, experts),
        eligible=None if problem.eligible is None else shuffled(problem.eligible),
        required=None if problem.required is None else shuffled(problem.required),
        overload_penalty=series(problem.overload_penalty, experts),
    )
    for field in ("fitness", "client_capacity", "client_demand", "expert_capacity", "expert_demand", "eligible",
                  "required", "overload_penalty"):  # fmt: skip
        np.testing.assert_array_equal(getattr(labelled, field), getattr(problem, field))


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_names_survive_files_and_are_compared_by_verify(tmp_path, suffix):
    problem = with_names(expert_capacity=1)
    save_problem(problem, tmp_path / f"p{suffix}")
    again = load_problem(tmp_path / f"p{suffix}")
    assert (again.client_names, again.expert_names) == (CLIENTS, EXPERTS)
    save_solution(solve(problem), tmp_path / f"s{suffix}")
    claim = load_solution(tmp_path / f"s{suffix}")
    assert (claim.client_names, claim.expert_names) == (CLIENTS, EXPERTS)
    assert verify(again, claim).holds
    other = AlignmentProblem(FITNESS, expert_capacity=1, client_names=("Bob", "Ann"))
    with pytest.raises(ValueError, match="client_names differ: number 0 is 'Ann' in the claim, 'Bob' in the problem"):
        verify(other, claim)
    assert verify(other, Claim.of(solve(other))).holds


def test_witnesses_diagnoses_and_repairs_say_names():
    problem = with_names(expert_demand=[1, 2])
    with pytest.raises(InfeasibleError, match="experts x, y must have a load of at least 3 together; clients Ann, Bob"):
        solve(problem)
    diagnosis = diagnose(problem, weights={"expert_demand": [2, 1]})
    assert "lower the demand of expert y from 2 to 1" in str(diagnosis)
    assert diagnosis.repaired.client_names == CLIENTS
    assert "client Bob demands 2 experts" in str(diagnose(with_names(client_demand=[0, 2])))
    assert "lower the demand of client Bob" in str(diagnose(with_names(client_demand=[0, 2])))
    assert "experts at capacity: experts x, y" in str(diagnose(with_names(expert_capacity=1)))


def test_violations_and_bad_entries_say_names():
    assert with_names(expert_capacity=1).violations([[1, 0], [1, 0]]) == [
        "expert x carries a load of 2, its capacity is 1"
    ]
    assert with_names(client_capacity=1).violations([[1, 1], [0, 0]])[0].startswith("client Ann has 2 experts")
    with pytest.raises(ValueError, match="fitness of client Bob, expert x is nan"):
        AlignmentProblem([[1.0, 2.0], [np.nan, 1.0]], client_names=CLIENTS, expert_names=EXPERTS)
    with pytest.raises(ValueError, match=r"client_capacity of client Bob is -1"):
        with_names(client_capacity=[1, -1])
    with pytest.raises(ValueError, match="expert 'a, b'"):
        AlignmentProblem([[np.nan]], expert_names=["a, b"])


def test_names_survive_the_presolve():
    problem = with_names(client_budget=5.0, expert_cost=[5.0, 5.0], expert_capacity=1)
    assert solve(problem, presolve=True).problem.client_names == CLIENTS


def test_layers_keep_the_names():
    joined = join_layers([with_names(), with_names()]).problem
    assert (joined.client_names, joined.expert_names[:3]) == (CLIENTS, ("x (layer 0)", "y (layer 0)", "x (layer 1)"))
    lower = AlignmentProblem(FITNESS, expert_names=("u", "v"))
    model = join_layers([with_names(), lower])
    assert model.problem.expert_names == ("x", "y", "u", "v")
    assert model.read(solve(model.problem))[0].problem.expert_names == EXPERTS
    with pytest.raises(ValueError, match="layer 1 names its clients otherwise"):
        join_layers([with_names(), AlignmentProblem(FITNESS, client_names=("Bob", "Ann"))])
