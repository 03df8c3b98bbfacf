"""Answers as tables, HTML, words and pictures: with names, escaped, and true."""

import csv
import importlib
import itertools
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from scipy.sparse import csr_array

from alignsolve import AlignmentProblem, diagnose, problem_from_tables, solve
from tests import oracle
from tests.strategies import problems

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")
NAMES = {"client_names": ["Ann", "Bob"], "expert_names": ["x", "<b>y"]}
SMALL = AlignmentProblem([[6, 1], [4, 3]], expert_capacity=1, **NAMES)
INFEASIBLE = AlignmentProblem([[6, 1], [4, 3]], client_demand=1, expert_capacity=[1, 0], **NAMES)
ROWS = {"client": ["Ann", "Bob"], "expert": ["x", "<b>y"], "fitness": [6, 3]}


def test_a_frame_is_of_the_kind_that_came_in():
    assert solve(SMALL).to_frame().to_dict("list") == ROWS
    assert solve(SMALL).to_frame("polars").to_dict(as_series=False) == ROWS
    assert solve(SMALL).to_frame("pyarrow").to_pydict() == ROWS
    listed = {"client": ["Ann", "Bob"], "expert": ["x", "y"], "fitness": [1.5, 2.5]}
    for library in (pandas, polars):
        assert isinstance(solve(problem_from_tables(library.DataFrame(listed))).to_frame(), library.DataFrame)
        wide = library.DataFrame({"client": ["Ann"], "x": [1.0]})
        assert isinstance(solve(AlignmentProblem(wide)).to_frame(), library.DataFrame)


def test_without_a_library_the_extra_and_the_other_way_are_named(monkeypatch):
    def missing(name):
        raise ImportError(name, name=name)

    solution = solve(SMALL)
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"needs pandas: pip install 'alignsolve\[tables\]' pandas; solution.to_csv"):
        solution.to_frame()
    with pytest.raises(ImportError, match=r"the extra \[plot\] brings"):
        solution.plot()


def test_a_csv_file_has_names_and_can_be_read_again(tmp_path):
    solve(SMALL).to_csv(tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["client", "expert", "fitness"], ["Ann", "x", "6"], ["Bob", "<b>y", "3"]]
    again = problem_from_tables(tmp_path / "a.csv")
    assert (again.client_names, again.expert_names) == (("Ann", "Bob"), ("x", "<b>y"))
    sparse = AlignmentProblem(csr_array([[0.0, 0.1], [0.25, 0.0]]))
    assert solve(sparse).to_frame().to_dict("list") == {"client": [0, 1], "expert": [1, 0], "fitness": [0.1, 0.25]}
    with pytest.raises(ValueError, match="no alignment to write: infeasible: "):
        solve(INFEASIBLE, throw=False).to_csv(tmp_path / "b.csv")


class Tags(HTMLParser):
    """The tags of a page that are opened and not closed, and its text."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], ""

    # ruff: noqa: D102
    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        (SMALL, "2 clients x 2 experts"),
        (AlignmentProblem(np.ones((2, 40))), "and 28 more experts"),
        (solve(SMALL), "optimal: objective 9"),
        (solve(INFEASIBLE, throw=False), "infeasible: "),
        (diagnose(INFEASIBLE), "raise the capacity of"),
    ],
)
def test_html_is_well_formed_and_escaped(shown, told):
    page = Tags()
    page.feed(shown._repr_html_())
    assert page.open == []
    assert told in page.text
    assert "OPTIMAL: optimal" not in page.text
    assert "<b>" not in shown._repr_html_()


def test_a_client_is_explained():
    told = solve(SMALL).explain(client="Ann")
    assert told.startswith("client Ann has expert x")
    assert "of the experts that it does not have, expert <b>y has the highest fitness, 1" in told
    assert solve(SMALL).explain(client=0) == told
    assert "one of the clients that show it" in solve(INFEASIBLE, throw=False).explain(client="Ann")
    alone = AlignmentProblem([[5.0, 2.0]], required=[[False, True]])
    assert "leave no choice that has it" in solve(alone).explain(client=0)


def test_an_expert_is_explained():
    told = solve(SMALL).explain(expert="x")
    assert "expert x carries a load of 1 of at most 1, at least 0\nit has client Ann" in told
    assert "its price is 1: one more unit of its capacity is worth at most 1" in told
    assert told.endswith("  client Bob: 0")
    demanded = solve(AlignmentProblem([[5.0, 2.0], [4.0, 1.0]], expert_demand=[0, 1]))
    assert "one unit less of its demand is worth at most 3" in demanded.explain(expert=1)
    assert "neither more capacity nor less demand" in solve(AlignmentProblem([[5.0, 2.0]])).explain(expert=1)
    assert "one of the experts that show it" in solve(INFEASIBLE, throw=False).explain(expert="x")
    sparse = solve(AlignmentProblem(csr_array([[0.0, 0.1], [0.25, 0.3]])))
    assert "no other client can take it" not in sparse.explain(expert=0)


@pytest.mark.parametrize(
    ("given", "told"),
    [({"client": "An"}, "there is no client 'An'; did you mean 'Ann'"), ({"expert": 2}, "there is no expert 2")],
)
def test_whom_nobody_knows_cannot_be_explained(given, told):
    with pytest.raises(ValueError, match=told):
        solve(SMALL).explain(**given)
    with pytest.raises(ValueError, match="clients have the numbers 0 to 0"):
        solve(AlignmentProblem([[1.0]])).explain(client=1)


@given(problem=problems(max_clients=3, max_experts=3))
def test_no_alignment_with_the_wished_for_expert_is_worth_more_than_is_told(problem):
    solution = solve(problem, throw=False)
    if solution.assigned is None:
        return
    for i in range(problem.num_clients):
        wish = solution.explain(client=i).splitlines()[-1]
        if "is worth more than" not in wish:
            continue
        j = int(wish.split("has expert ")[-1].split()[0])
        most = float(wish.split("is worth more than ")[1].split(";")[0])
        rows = [oracle.row_choices(problem, k) for k in range(problem.num_clients)]
        rows[i] = [choice for choice in rows[i] if j in choice]
        with_it = [each for each in itertools.product(*rows) if oracle.feasible(problem, each)]
        reached = max((float(oracle.objective(problem, each)) for each in with_it), default=-np.inf)
        assert reached <= most + 1e-6 * max(1.0, abs(most))


@given(problem=problems(max_clients=3, max_experts=3))
def test_one_more_place_is_worth_no_more_than_is_told(problem):
    solution = solve(problem, throw=False)
    if solution.assigned is None or solution.prices is None:
        return
    for j in range(problem.num_experts):
        told = next((line for line in solution.explain(expert=j).splitlines() if "unit of its capacity" in line), None)
        if told is None:
            continue
        more = problem.expert_capacity.copy()
        more[j] += 1
        gained = solve(replace(problem, expert_capacity=more)).bound - solution.objective
        assert gained <= float(told.split("at most ")[1]) * (1 + 1e-5) + 1e-6 * max(1.0, abs(solution.objective))


def test_four_pictures_have_names_on_their_axes(tmp_path):
    pytest.importorskip("matplotlib")
    figure = solve(SMALL).plot()
    assert len(figure.axes) == 4
    assert all(axes.get_title() and axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
    assert [text.get_text() for text in figure.axes[2].get_yticklabels()] == ["Ann", "Bob"]
    figure.savefig(tmp_path / "a.png")
    without = solve(AlignmentProblem([[1.0], [2.0]], client_capacity=0))
    without.plot().savefig(tmp_path / "b.svg")
    with pytest.raises(ValueError, match="no alignment to draw"):
        solve(INFEASIBLE, throw=False).plot()
