"""problem_from_tables(): the problem of the arrays, in any order of rows and from any kind of table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignsolve import AlignmentProblem, problem_from_tables, solve
from alignsolve.io import tables
from alignsolve.problem import FIELDS
from tests.problem_fields import arrays
from tests.strategies import problems

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")
PAIRS = {"client": ["Ann", "Ann", "Bob"], "expert": ["x", "y", "x"], "fitness": [3, 1, 2]}
LIBRARIES = {"mapping": dict, "pandas": pandas.DataFrame, "polars": polars.DataFrame}


def as_tables(problem, rng):
    """Write a problem as three mappings, the rows of the pairs in a random order."""
    n, e = problem.shape
    eligible = np.ones((n, e), dtype=bool) if problem.eligible is None else problem.eligible
    rows, columns = np.nonzero(eligible)
    order = rng.permutation(len(rows))
    rows, columns = rows[order], columns[order]
    pairs = {"client": [f"c{i}" for i in rows], "expert": [f"e{j}" for j in columns]}
    pairs["fitness"] = problem.fitness[rows, columns]
    for mark in ("required", "previous", "switching_cost"):
        if getattr(problem, mark) is not None:
            pairs[mark] = getattr(problem, mark)[rows, columns]
    clients = {"client": [f"c{i}" for i in range(n)], "capacity": problem.client_capacity}
    clients["demand"] = problem.client_demand
    experts = {"expert": [f"e{j}" for j in range(e)], "capacity": problem.expert_capacity}
    experts |= {name: getattr(problem, name) for name in ("overload_penalty", "shortfall_penalty")}
    experts["demand"] = problem.expert_demand
    if problem.client_load is not None:
        pairs["load"] = problem.client_load[rows, columns]
    if problem.client_budget is not None:
        for r in range(problem.client_budget.shape[1]):
            clients[f"budget_{r}"] = problem.client_budget[:, r]
            pairs[f"cost_{r}"] = problem.expert_cost[rows, columns, r]
    return pairs, clients, experts


def representable(problem):
    """Whether tables can say it: groups have names there, and what is required must be listed."""
    barred = problem.eligible is not None and problem.required is not None
    return problem.expert_group is None and not (barred and (problem.required & ~problem.eligible).any())


@pytest.mark.parametrize("library", LIBRARIES)
@given(problem=problems().filter(representable), seed=st.integers(0, 99))
def test_a_problem_from_tables_is_the_one_from_arrays(library, problem, seed):
    made = problem_from_tables(*map(LIBRARIES[library], as_tables(problem, np.random.default_rng(seed))))
    seen = np.ones(problem.shape, dtype=bool) if problem.eligible is None else problem.eligible
    for field in FIELDS:
        expected, found = getattr(problem, field), getattr(made, field)
        if field == "eligible" and expected is not None and expected.all():
            expected = None
        if field in ("fitness", "switching_cost", "client_load", "expert_cost", "previous") and expected is not None:
            expected, found = expected[seen], found[seen]
        np.testing.assert_array_equal(found, expected, err_msg=field)
    assert solve(made, throw=False).objective == solve(problem, throw=False).objective


def test_groups_have_names():
    experts = {"expert": ["x", "y", "z"], "group": ["upper", "lower", "upper"], "cost": [1, 2, 1]}
    clients = {"client": ["Ann", "Bob"], "capacity": [3, 3], "group_demand": [0, 0], "group_demand_lower": [1, 0],
               "group_capacity_upper": [1, np.nan], "budget": [5, np.nan]}  # fmt: skip
    pairs = {"client": ["Ann"] * 3 + ["Bob"] * 3, "expert": ["x", "y", "z"] * 2, "fitness": range(6)}
    problem = problem_from_tables(pairs, clients, experts)
    assert problem.expert_group.tolist() == [0, 1, 0]
    assert problem.group_demand.tolist() == [[0, 1], [0, 0]]
    assert problem.group_capacity.tolist() == [[1, 3], [3, 3]]
    assert problem.client_budget.tolist() == [[5], [np.inf]]
    with pytest.raises(ValueError, match="no expert is in a group 'middle'"):
        problem_from_tables(pairs, {**clients, "group_demand_middle": [1, 1]}, experts)


def test_many_missing_pairs_are_not_made(monkeypatch):
    monkeypatch.setattr(tables, "FULL_PAIRS", 3)
    stored = problem_from_tables(PAIRS | {"required": [0, 1, 0]}, None, {"expert": ["y", "x", "z", "w"]})
    assert stored.stored is not None
    assert (stored.client_names, stored.expert_names) == (("Ann", "Bob"), ("y", "x", "z", "w"))
    monkeypatch.undo()
    full = problem_from_tables(PAIRS | {"required": [0, 1, 0]}, None, {"expert": ["y", "x", "z", "w"]})
    assert full.stored is None
    dense = stored.to_dense()
    for field in ("fitness", "eligible", "required", "switching_cost"):
        assert [a.tolist() for a in arrays(getattr(dense, field))] == [getattr(full, field).tolist()]
    assert solve(stored).objective == solve(full).objective == 3


def test_a_list_of_all_pairs_makes_a_full_problem():
    problem = problem_from_tables({"client": ["a"], "expert": ["b"], "fitness": [1.5]})
    assert isinstance(problem, AlignmentProblem)
    assert problem.eligible is None


BAD = {
    "no fitness": ({"client": ["a"], "expert": ["b"]}, None, None, r"pairs: the column 'fitness' is missing"),
    "a near column": (PAIRS | {"fitnes": [1, 1, 1]}, None, None, r"pairs: the column 'fitnes' is not known; did you"),
    "a far column": (PAIRS | {"zzz": [1, 1, 1]}, None, None, r"'zzz' is not known; there are: client, expert"),
    "a near column of clients": (PAIRS, {"client": ["Ann", "Bob"], "Capacity": [1, 1]}, None, "mean 'capacity'"),
    "a pair twice": (
        {"client": ["Ann", "Ann"], "expert": ["x", "x"], "fitness": [1, 2]}, None, None,
        r"pairs, row 1: client Ann, expert x is in row 0 already",
    ),
    "a client twice": (PAIRS, {"client": ["Ann", "Bob", "Ann"]}, None, "clients, row 2: client Ann is in row 0"),
    "an unknown client": (PAIRS, {"client": ["Anne", "Bob"]}, None, r"row 0, column client: clients has no client "
                          r"'Ann'; did you mean 'Anne'\? Or else add a line"),
    "an empty name": (PAIRS | {"client": ["Ann", "", "Bob"]}, None, None, "pairs, row 1, column client: the name is"),
    "no name": (PAIRS | {"client": ["Ann", None, "Bob"]}, None, None, "pairs, row 1, column client: the name is empty"),
    "a gap": (PAIRS | {"fitness": [1, None, 2]}, None, None, "pairs, row 1, column fitness: the cell is empty"),
    "no number": (PAIRS | {"fitness": [1, "two", 2]}, None, None, "pairs, row 1, column fitness: 'two' is no number"),
    "no mark": (PAIRS | {"required": [0, 2, 1]}, None, None, "pairs, row 1, column required: 2 is no mark"),
    "lengths": (PAIRS | {"load": [1]}, None, None, "pairs: column load has 1 rows, the first column has 3"),
    "a lonely cost": (PAIRS | {"cost": [1, 1, 1]}, None, None, "a column cost, but no budget in the table"),
    "two loads": (PAIRS | {"load": [1, 1, 1]}, {"client": ["Ann", "Bob"], "load": [1, 2]}, None, "both have load"),
    "no groups": (PAIRS, {"client": ["Ann", "Bob"], "group_demand": [1, 1]}, None, "there are no groups"),
    "no row": ({"client": [], "expert": [], "fitness": []}, None, None, "pairs has no row, and there is no table of"),
    "clients as pairs": ({"client": ["a"], "capacity": [1]}, None, None, r"table of the clients, but it .*--clients"),
    "experts as clients": (PAIRS, {"expert": ["x"], "capacity": [1]}, None, r"of the experts, but it is .*--experts"),
    "pairs as clients": (PAIRS, PAIRS, None, "of the pairs, but it is given as the table of the clients"),
    "a wrong capacity": (PAIRS, {"client": ["Bob", "Ann"], "capacity": [1, -1]}, None, r"^clients, row 1: client_cap"),
    "a wrong demand": (PAIRS, None, {"expert": ["x", "y"], "demand": [-1, 0]}, r"^experts, row 0: expert_demand of "),
    "a wrong fitness": (PAIRS | {"fitness": [1, 2, np.inf]}, None, None, r"^pairs, row 2: fitness of "),
    "no table": ([1, 2], None, None, "pairs must be a data frame, a mapping of columns or the path"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_told_with_its_place(name):
    *given_tables, told = BAD[name]
    with pytest.raises(ValueError, match=told):
        problem_from_tables(*given_tables)
