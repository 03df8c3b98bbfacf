"""GAP files: read as problems in both senses, written and read back; errors name the line."""

from pathlib import Path

import numpy as np
import pytest

from alignsolve import AlignmentProblem, Status, solve
from alignsolve.problem import FIELDS
from problems import FAMILIES, orlib

ROOT = Path(__file__).parents[2]
SHARED = next((d for d in (ROOT / "shared", ROOT.parent / "shared") if d.is_dir()), ROOT / "shared") / "data" / "gap"
SMALL = "2 3\n 4 2 9\n 1 5 3\n 3 2 4\n 2 3 2\n 5 4\n"
GAP = ["gap-a", "gap-b", "gap-c", "gap-d", "gap-e"]
PUBLISHED = [(100, 5), (100, 20), (200, 10), (400, 10)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.txt"
    path.write_text(SMALL)
    return path


def test_agents_are_experts_and_jobs_are_clients(file):
    problem = orlib.read(file)
    assert problem.shape == (3, 2)
    assert np.array_equal(problem.fitness, [[-4, -1], [-2, -5], [-9, -3]])
    assert np.array_equal(problem.client_load, [[3, 2], [2, 3], [4, 2]])
    assert np.array_equal(problem.expert_capacity, [5, 4])
    assert np.array_equal(problem.client_demand, [1, 1, 1])
    assert np.array_equal(problem.client_capacity, [1, 1, 1])
    assert problem.integral


def test_both_senses_of_a_file(file):
    cheapest, dearest = (solve(orlib.read(file, sense=sense), "ilp") for sense in ("min", "max"))
    assert cheapest.objective == -6  # jobs 0 and 2 fill agent 1
    assert dearest.objective == 9  # jobs 0 and 1 fill agent 0; with job 2 there, the others would not fit on agent 1
    assert cheapest.status is dearest.status is Status.OPTIMAL


def test_lines_mean_nothing(file, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("\n".join(SMALL.split()))
    assert same(orlib.read(file), orlib.read(other))


@pytest.mark.parametrize("name", [*GAP, "file"])
@pytest.mark.parametrize("sense", ["min", "max"])
def test_what_is_written_reads_back_equal(name, sense, file, tmp_path):
    problem = orlib.read(file, sense=sense) if name == "file" else make(name, (30, 4))
    orlib.write(problem, tmp_path / "again.txt", sense=sense)
    assert same(orlib.read(tmp_path / "again.txt", sense=sense), problem)


def test_fractions_read_back_equal(tmp_path):
    problem = AlignmentProblem(
        [[0.1, 1e-9], [2.5, 1 / 3]], client_demand=1, expert_capacity=0.7, client_load=[0.3, 0.1]
    )
    orlib.write(problem, tmp_path / "fractions.txt")
    again = orlib.read(tmp_path / "fractions.txt")
    assert np.array_equal(again.fitness, problem.fitness)
    assert np.array_equal(again.client_load, problem.client_load)
    assert np.array_equal(again.expert_capacity, problem.expert_capacity)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "ends before the number of agents"),
        ("2", "ends before the number of jobs"),
        ("two 3", "line 1: the number of agents is 'two'"),
        ("2\n3.5", "line 2: the number of jobs is '3.5'"),
        ("-2 3", "line 1: the number of agents is -2"),
        ("0 3", "the number of agents is 0; there must be at least one"),
        (SMALL.removesuffix(" 5 4\n"), "call for 14 more numbers, there are 12: is it truncated"),
        (SMALL + "7\n", "line 7: 2 agents and 3 jobs call for 14 more numbers, there are 15: does it hold several"),
        (SMALL.replace("1 5 3", "1 x 3"), "line 3: cost of agent 1, entry 1: 'x' is no number"),
        (SMALL.replace("1 5 3", "1 nan 3"), "line 3: cost of agent 1, entry 1: 'nan' is not finite"),
        (SMALL.replace("3 2 4", "3 -2 4"), "line 4: resource of agent 0, entry 1: -2 is negative"),
        (SMALL.replace(" 5 4\n", " 5 -4\n"), "line 6: capacity, entry 1: -4 is negative"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text, told, tmp_path):
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"bad\.txt") as caught:
        orlib.read(path)
    assert told in str(caught.value)


def test_another_sense_is_refused(file):
    with pytest.raises(ValueError, match=r"must be 'min' .* or 'max'"):
        orlib.read(file, sense="least")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"client_capacity": 2}, "exactly one expert"),
        ({"client_demand": 0}, "exactly one expert"),
        ({"eligible": [[True, False], [True, True]]}, "eligible"),
        ({"expert_demand": 1}, "expert_demand"),
        ({"expert_capacity": None}, "finite expert_capacity"),
        ({"client_budget": 1.0, "expert_cost": [1.0, 1.0]}, "client_budget"),
    ],
)
def test_what_the_format_cannot_say_is_refused(changed, told, tmp_path):
    given = {"client_demand": 1, "expert_capacity": 3, "client_load": [1, 2], **changed}
    with pytest.raises(ValueError, match=told):
        orlib.write(AlignmentProblem([[1, 2], [3, 4]], **given), tmp_path / "never.txt")


@pytest.mark.parametrize("size", PUBLISHED)
@pytest.mark.parametrize("name", GAP)
def test_published_sizes_follow_the_published_rules(name, size):
    problem = make(name, size)
    load, cost = problem.client_load, -problem.fitness
    even = np.floor(0.8 * load.sum(axis=0) / size[1])
    if name in ("gap-a", "gap-b", "gap-c"):
        assert (load.min(), load.max(), cost.min(), cost.max()) == (5, 25, 10, 50)
    if name == "gap-d":
        assert (load.min(), load.max()) == (1, 100)
        assert np.abs(cost + load - 111).max() == 10
        assert np.corrcoef(load.ravel(), cost.ravel())[0, 1] < -0.9
    if name == "gap-e":
        assert load.min() == 1
        assert load.max() > 50
        assert cost.max() <= 1000
    if name in ("gap-c", "gap-d", "gap-e"):
        assert np.array_equal(problem.expert_capacity, even)  # none had to be raised
    if name in ("gap-a", "gap-b"):
        assert np.ptp(problem.expert_capacity) == 0


def test_type_b_has_70_percent_of_the_room_of_type_a():
    a, b = make("gap-a", (100, 5)), make("gap-b", (100, 5))
    assert np.array_equal(a.fitness, b.fitness)
    assert (np.abs(b.expert_capacity - 0.7 * a.expert_capacity) <= 1).all()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published instances are not here")
@pytest.mark.parametrize("name", ["a05100", "b05100", "c05100", "c0515_1", "d05100"])
def test_published_files_have_the_capacities_that_the_rules_give(name):
    problem = orlib.read(SHARED / f"{name}.txt")
    load, cheapest = problem.client_load, (-problem.fitness).argmin(axis=1)
    n, e = problem.shape
    carried = np.bincount(cheapest, weights=load[np.arange(n), cheapest], minlength=e).max()
    loose = np.full(e, 0.6 * 15 * n / e + 0.4 * carried)
    rule = {"a": loose, "b": 0.7 * loose}.get(name[0], 0.8 * load.sum(axis=0) / e)
    assert np.array_equal(problem.expert_capacity, np.floor(rule))


def make(name, size):
    return FAMILIES[name](np.random.default_rng(3), num_clients=size[0], num_experts=size[1])


def same(one, other):
    return all(np.array_equal(np.asarray(getattr(one, f)), np.asarray(getattr(other, f))) for f in FIELDS)
