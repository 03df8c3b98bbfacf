"""Sets of experts by name: in tables, on the command line, in messages, files and frames."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from typer.testing import CliRunner

from alignsolve import AlignmentProblem, diagnose, join_layers, problem_from_tables, solve
from alignsolve.cli import app
from alignsolve.io import load_problem, load_solution, save_problem, save_solution
from alignsolve.io.to_tables import beside, save_tables, tables_of
from alignsolve.presolve.sets import drop_sets
from tests import set_strategies

STUDENTS, PROJECTS = ["Ann", "Bob", "Cem", "Dot", "Eva"], ["robots", "drones", "poems", "plays"]
WISHES = np.array([[9, 7, 1, 2], [9, 6, 3, 1], [8, 9, 2, 1], [2, 8, 7, 3], [1, 2, 6, 9]])
PAIRS = {"client": np.repeat(STUDENTS, 4), "expert": PROJECTS * 5, "fitness": WISHES.ravel()}
EXPERTS = {"expert": PROJECTS, "capacity": [2] * 4, "set": ["Kay", "Kay", "Lee", ""]}
LECTURERS = {"set": ["Lee", "Kay"], "capacity": [4, None], "demand": [None, 1]}


def tables(**changes):
    given = {"pairs": PAIRS, "clients": None, "experts": EXPERTS, "sets": LECTURERS} | changes
    return problem_from_tables(**given)


def test_a_column_says_who_is_in_which_set():
    problem = tables()
    assert problem.set_names == ("Lee", "Kay")
    assert problem.expert_sets.tolist() == [[False, False, True, False], [True, True, False, False]]
    assert problem.set_capacity.tolist() == [4.0, np.inf]
    assert problem.set_demand.tolist() == [0.0, 1.0]
    unbounded = tables(sets=None)
    assert unbounded.set_names == ("Kay", "Lee")
    assert np.isinf(unbounded.set_capacity).all()


def test_several_columns_are_nested_sets():
    experts = {"expert": PROJECTS, "set_cell": ["a", "a", "b", "b"], "set_region": ["north"] * 4}
    problem = tables(experts=experts, sets={"set": ["a", "b", "north"], "capacity": [3, 3, 5]})
    assert problem.expert_sets.sum(axis=1).tolist() == [2, 2, 4]
    assert problem.sets.smallest.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"experts": EXPERTS | {"set": ["Kay", "Kai", "Lee", ""]}},
         "experts, row 1, column set: sets has no set 'Kai'; did you mean 'Kay'"),
        ({"experts": EXPERTS | {"set": ["Kay", "Kay", "", ""]}},
         "sets, row 0, column set: no expert is in the set 'Lee'"),
        ({"experts": {"expert": PROJECTS}}, "sets is given, but no expert is in a set"),
        ({"experts": EXPERTS | {"set_b": ["", "", "", "Lee"]}}, "the set 'Lee' is in another column too"),
        ({"sets": {"set": ["Lee", "Kay", "Lee"], "capacity": [1, 2, 3]}}, "set Lee is in row 0 already"),
        ({"sets": {"set": ["Lee", "Kay"], "capacity": [1, -2]}}, "sets, row 1: set_capacity of set Kay is -2"),
        ({"sets": {"set": ["Lee", ""], "capacity": [1, 2]}}, "the name is empty"),
        ({"sets": {"set": ["Lee", "Kay"], "room": [1, 2]}}, "the column 'room' is not known"),
        ({"experts": LECTURERS}, "has the columns of a table of the sets"),
    ],
)  # fmt: skip
def test_errors_name_the_set_and_its_place(changes, told):
    with pytest.raises(ValueError, match=told):
        tables(**changes)


def named(**fields):
    given = {
        "client_demand": 1, "client_names": STUDENTS, "expert_names": PROJECTS, "expert_capacity": 2,
        "expert_sets": [0, 0, 1, 1], "set_capacity": [3, 4], "set_names": ["Kay", "Lee"],
    }  # fmt: skip
    return AlignmentProblem(WISHES, **given | fields)


def test_names_are_in_every_message():
    solution = solve(named())
    assert "it is in set Kay, which carries a load of 3 of at most 3" in solution.explain(expert="robots")
    tight = diagnose(named(set_capacity=[2, 2]), weights={"set_capacity": [5, 1]})
    assert "sets Kay, Lee (experts robots" in str(tight)
    assert "raise the capacity of set Lee from 2 to 3" in str(tight)
    assert "one more of the capacity of set Kay gains" in str(diagnose(named(), exact=True))
    assert named().violations(np.eye(5, 4)[[0, 0, 1, 1, 0]])[-1].startswith("set Kay (experts robots, drones) carries")
    crossing = named(expert_sets=[[True, True, True, False], [False, True, True, True]])
    with pytest.raises(ValueError, match="set Kay and set Lee cross"):
        solve(crossing, "price")


def test_names_are_checked_and_matched():
    with pytest.raises(ValueError, match="set_names has 1 names, there are 2 sets"):
        named(set_names=["Kay"])
    with pytest.raises(ValueError, match="set_names is given without expert_sets"):
        AlignmentProblem(WISHES, set_names=["Kay"])
    with pytest.raises(ValueError, match="set_capacity of set Lee is -1"):
        named(set_capacity=[1, -1])
    with pytest.raises(ValueError, match="set Lee names no expert"):
        named(expert_sets=np.eye(2, 4, dtype=bool) & [[True], [False]])
    frame = pd.DataFrame([[1, 1, 0, 0], [0, 0, 1, 1]], index=["Kay", "Lee"], columns=PROJECTS).astype(bool)
    labelled = named(expert_sets=frame, set_names=None, set_capacity=pd.Series({"Lee": 4, "Kay": 3}))
    assert labelled.set_names == ("Kay", "Lee")
    assert labelled.set_capacity.tolist() == [3.0, 4.0]


def test_files_presolve_layers_and_frames_keep_names(tmp_path):
    problem = named()
    solution = solve(problem)
    for suffix in (".npz", ".json"):
        save_problem(problem, tmp_path / f"p{suffix}")
        save_solution(solution, tmp_path / f"s{suffix}")
        assert load_problem(tmp_path / f"p{suffix}").set_names == ("Kay", "Lee")
        assert load_solution(tmp_path / f"s{suffix}").set_names == ("Kay", "Lee")
    assert drop_sets(named(set_capacity=[9, 3])).problem.set_names == ("Lee",)
    assert join_layers([problem, problem]).problem.set_names[:2] == ("Kay (layer 0)", "Lee (layer 0)")
    frame = solution.to_frame()
    assert list(frame.columns) == ["client", "expert", "set", "fitness"]
    assert dict(zip(frame["expert"], frame["set"], strict=True))["robots"] == "Kay"
    assert solve(named(expert_sets=[[False, True, True, True]] * 2, set_names=None)).to_frame()["set"][0] == ""


@settings(max_examples=20)
@given(set_strategies.set_problems(max_clients=3))
def test_sets_survive_their_tables(problem):
    try:
        again = problem_from_tables(*tables_of(problem))
    except ValueError as error:
        assert "cannot say that" in str(error)  # noqa: PT017  (some problems have no tables)
        return
    for field in ("expert_sets", "set_capacity", "set_demand", "set_overload_penalty", "set_shortfall_penalty"):
        np.testing.assert_array_equal(getattr(again, field), getattr(problem, field), err_msg=field)


def test_the_command_line_reads_and_writes_sets(tmp_path):
    save_tables(tables(), tmp_path / "t.csv")
    pairs, clients, experts, sets = beside(tmp_path / "t.csv", tables())
    given = ["--clients", str(clients), "--experts", str(experts), "--sets", str(sets)]
    told = CliRunner().invoke(app, ["solve", str(pairs), *given, "-o", str(tmp_path / "out.csv")])
    assert told.exit_code == 0, told.output
    assert "sets" in told.output
    assert "Kay" in told.output
    assert (tmp_path / "out.csv").read_text().startswith("client,expert,set,fitness\nAnn,robots,Kay,9\n")
    made = CliRunner().invoke(app, ["convert", str(pairs), str(tmp_path / "again.csv"), *given])
    assert made.exit_code == 0, made.output
    assert (tmp_path / "again.sets.csv").read_text() == sets.read_text()
