"""The fuzzer itself: its oracle, its checks, its shrinking; and half a minute of problems, rows and models."""

import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from alignsolve import SOLVERS, AlignmentProblem, Status, solve
from alignsolve.certificate.verify import Claim
from alignsolve.data.alignment import Alignment
from alignsolve.data.expert_sets import Prices
from tests import oracle
from tests.fuzz import claims, rows
from tests.fuzz.checks import fault_of, fault_of_bound
from tests.fuzz.draw import draw
from tests.fuzz.fields import AXES, Drawn, stored, written
from tests.fuzz.price_bound import price_bound
from tests.fuzz.problems import CHANCES, with_truth
from tests.fuzz.run import one, run
from tests.fuzz.shrink import shrunk
from tests.fuzz.tally import Tally
from tests.fuzz.truth import Truth
from tests.fuzz.watch import HangError, in_time

SMALL = Drawn({"fitness": (np.array([[3.0, 1.0], [2.0, 1.5]]), "ij"), "expert_capacity": (1.0, "")})


def drawn_with_truth(number, **wanted):
    rng = np.random.default_rng(number)
    while True:
        drawn = draw(rng)
        made = with_truth(drawn)
        if made is not None and all(getattr(drawn, name) == value for name, value in wanted.items()):
            return drawn, *made


@pytest.mark.parametrize("first", [0, 30])
def test_the_truth_is_that_of_the_other_oracle(first):
    for number in range(first, first + 30):
        drawn, problem, truth = drawn_with_truth(number, hostile=False, sparse=False)
        best = oracle.best(problem)
        assert truth.best == (None if best is None else best.objective), written(drawn)
        if best is not None:
            x = [[j in choice for j in range(problem.num_experts)] for choice in best.choices]
            assert truth.judge(np.array(x)) == (best.objective, pytest.approx(oracle.magnitude(problem, best.choices)))
        asked = np.random.default_rng(number).integers(-3, 4, problem.num_experts + problem.num_sets) / 2
        of_sets = asked[problem.num_experts :]
        projected = Prices.projected(problem, asked)
        plain = replace(problem, optional_demand=None)  # prices know nothing of it
        expected = oracle.lagrangian(plain, asked[: problem.num_experts], of_sets)
        assert price_bound(truth, projected.paid, projected.sets) == expected, written(drawn)


def test_a_wrong_answer_is_seen():
    truth = Truth(SMALL)
    right = solve(SMALL.problem(), "flow")
    assert truth.best == Fraction(9, 2)
    assert fault_of(truth, truth.strict, "flow", right) is None
    worse = solve(SMALL.problem(), "flow", warm_start=None)
    for change in (
        {"objective": 4.0}, {"objective": None}, {"bound": 4.4}, {"bound": np.nan}, {"status": Status.INFEASIBLE},
        {"prices": np.array([100.0, 0.0])}, {"assigned": None}, {"loads": np.array([1.0, 2.0])}, {"loads": None},
    ):  # fmt: skip
        assert fault_of(truth, truth.strict, "flow", replace(worse, **change)) is not None, change
    assert fault_of_bound(truth.strict, SMALL.problem(), np.array([1.0, 0.5])) is None


def test_where_switching_costs_cancel_the_tolerance_is_that_of_the_fitness():
    fields = {"fitness": (np.array([[1.0 - 4e-15, 1.0 + 2e-15]]), "ij"), "switching_cost": (1.0, "")}
    drawn = Drawn({**fields, "expert_demand": (np.array([1.0, 0.0]), "j"), "client_capacity": (2, "")})
    truth, right = Truth(drawn), solve(drawn.problem(), "flow")
    first = Alignment.from_pairs([0], [0], 1)
    near = replace(right, assigned=first, objective=float(truth.judge(first.to_dense(2))[0]), prices=None,
                   loads=np.array([1.0, 0.0]))  # fmt: skip
    assert near.objective < truth.best
    assert fault_of(truth, truth.strict, "flow", near) is None
    far = replace(
        drawn, fields={**drawn.fields, "fitness": (np.array([[-4e-15, 2e-15]]), "ij"), "switching_cost": (0.0, "")}
    )
    assert fault_of(Truth(far), Truth(far).strict, "flow", near) is not None


def test_a_wrong_witness_is_seen():
    drawn = Drawn({**SMALL.fields, "client_demand": (1, ""), "expert_capacity": (np.array([0.0, 1.0]), "j")})
    truth, problem = Truth(drawn), drawn.problem()
    right = solve(problem, "flow", throw=False)
    assert truth.best is None
    assert fault_of(truth, truth.strict, "flow", right) is None
    for change in ({"experts": np.array([True, False])}, {"experts": np.zeros(2, dtype=bool)}, {"side": "demand"}):
        wrong = replace(right, witness=replace(right.witness, **change))
        assert fault_of(truth, truth.strict, "flow", wrong) is not None, change


def test_a_wrong_answer_about_sets_is_seen():
    fields = {"fitness": SMALL.fields["fitness"], "expert_sets": (np.array([0, 0]), "j"), "set_capacity": (1, "")}
    truth, right = Truth(Drawn(fields)), solve(Drawn(fields).problem(), "flow")
    assert (truth.best, right.set_prices.tolist()) == (3, [2.0])
    assert fault_of(truth, truth.strict, "flow", right) is None
    for change in (
        {"set_loads": np.array([2.0])}, {"set_loads": None}, {"set_prices": np.array([4.0])}, {"set_prices": None},
        {"set_loads": np.zeros(2)},
    ):  # fmt: skip
        assert fault_of(truth, truth.strict, "flow", replace(right, **change)) is not None, change
    drawn = Drawn({**fields, "client_demand": (1, "")})
    truth, right = Truth(drawn), solve(drawn.problem(), "flow", throw=False)
    assert (truth.best, right.witness.sets.tolist()) == (None, [1])
    assert fault_of(truth, truth.strict, "flow", right) is None
    for change in ({"sets": np.array([0])}, {"sets": np.array([-1])}, {"sets": None}, {"side": "demand"}):
        wrong = replace(right, witness=replace(right.witness, **change))
        assert fault_of(truth, truth.strict, "flow", wrong) is not None, change


def test_optional_demands_are_part_of_the_truth():
    drawn = Drawn({"fitness": (np.array([[3.0, 1.0], [-1.0, 1.5]]), "ij"), "optional_demand": (2.0, "")})
    assert Truth(drawn).best == Fraction(5, 2)
    assert Truth(drawn).judge(np.eye(2, dtype=bool)) is None
    assert Truth(drawn).judge(np.zeros((2, 2), dtype=bool)) == (0, 0)


def test_lies_are_known():
    truth, claim = Truth(SMALL), Claim.of(solve(SMALL.problem(), "flow"))
    assert claims.lie(truth, claim) is None
    for change in (
        {"objective": 4.6}, {"objective": np.inf}, {"bound": np.nan}, {"bound": 4.0}, {"status": Status.INFEASIBLE},
        {"assigned": None}, {"assigned": ([0, 1, 1], [0])},
    ):  # fmt: skip
        assert claims.lie(truth, replace(claim, **change)) is not None, change


def test_what_fails_becomes_small():
    drawn, _, _ = drawn_with_truth(5, sparse=False)
    drawn = replace(drawn, fields={**drawn.fields, "overload_penalty": (7.25, "")})
    small = shrunk(drawn, lambda other: "overload_penalty" in other.fields and other.value("overload_penalty") > 6)
    assert set(small.fields) == {"fitness", "overload_penalty"}
    assert small.shape == (1, 1)
    assert small.value("overload_penalty") == 7.0
    namespace = {"np": np, "AlignmentProblem": AlignmentProblem, "stored": stored}
    exec("def build():\n" + "\n".join(written(small)) + "\n    return problem", namespace)
    assert namespace["build"]().shape == (1, 1)


def test_every_solver_is_asked():
    assert set(CHANCES) == set(SOLVERS)


def test_experts_and_sets_go_together():
    rows = np.array([[True, False, False], [True, True, False]])
    bounds = {"set_capacity": (np.array([1.0, 2.0]), "s"), "set_demand": (0, "")}
    fitness = {"fitness": (np.ones((2, 3)), "ij")}
    for given, kept in (((np.array([0, 1, 1]), "j"), [True, True]), ((rows, "sj"), [True, False])):
        drawn = Drawn({**fitness, "expert_sets": given, **bounds})
        assert drawn.problem().expert_sets.tolist() == drawn.members.tolist()
        fewer = drawn.without("j", 0)  # the first set has no other expert
        assert (fewer.members.tolist(), fewer.value("set_capacity").tolist()) == ([kept], [2.0])
        assert drawn.without("s", 1).members.tolist() == [[True, False, False]]
        assert "set_demand" not in drawn.without("s", 0).without("s", 0).fields
        assert all(other.problem() for other in drawn.smaller() if "expert_sets" in other.fields and other.num_sets)


def test_every_field_and_every_pair_of_features_is_drawn():
    tally, fields = Tally(), set()
    for number in range(300):
        drawn = draw(np.random.default_rng(number))
        fields |= set(drawn.fields)
        tally.note_problem(drawn.problem().features)
    assert fields == set(AXES)
    assert tally.fewest() > 0


def test_a_number_and_a_seed_fix_an_example():
    first, again, other = Tally(), Tally(), Tally()
    for tally, seed in ((first, 3), (again, 3), (other, 4)):
        assert one("problems", seed, 17, tally, ["flow", "sift"]) is None
        assert one("rows", seed, 17, tally) is None
    assert (first.answers, first.pairs, first.counts) == (again.answers, again.pairs, again.counts)
    assert first.pairs != other.pairs


def test_sums_of_a_long_row_are_those_of_all_sets():
    rng = np.random.default_rng(0)
    for _ in range(20):
        cost, worth, group = rng.integers(1, 5, 7), rng.integers(-4, 9, 7), rng.integers(0, 2, 7)
        sets = np.arange(128)[:, None] >> np.arange(7) & 1
        for forced in (0, 1):
            fits = sets @ cost <= 8
            for g in range(2):
                fits &= sets[:, group == g].sum(axis=1) >= forced
            expected = (sets @ worth)[fits].max() if fits.any() else None
            assert rows.table_of_sums(worth, cost, 8, group, 2, forced) == expected


def test_the_row_of_a_run_is_kept(tmp_path):
    tally, minutes = run(
        seed=1, minutes=5.0, kinds=["problems"], solvers=["flow"], answers=3, note=tmp_path / "note", tell=print
    )
    tally.append(tmp_path / "rows.csv", 1, minutes)
    first = (tmp_path / "rows.csv").read_text().splitlines()
    (tmp_path / "rows.csv").write_text("commit,seed\nabc,7\n")  # kept when there were fewer columns
    tally.append(tmp_path / "rows.csv", 1, minutes)
    lines = (tmp_path / "rows.csv").read_text().splitlines()
    assert [lines[0], lines[2]] == first
    assert lines[0].startswith("commit,seed,minutes,answers,")
    assert lines[1] == "abc,7" + ",0" * lines[0][len("commit,seed") :].count(",")
    assert tally.answers["flow"] == tally.answers.total() == 4  # one problem, asked twice in each of two ways


@pytest.mark.slow
def test_half_a_minute_of_problems(tmp_path):
    told = []
    tally, _ = run(seed=0, minutes=0.5, kinds=["problems", "rows", "models"], note=tmp_path / "note", tell=told.append)
    assert not tally.faults, "\n".join(told)
    assert tally.answers.total() > 100


def test_what_takes_too_long_twice_is_a_hang():
    calls = []

    def slow_once():
        calls.append(1)
        time.sleep(0.3 if len(calls) == 1 else 0.0)
        return 7

    assert in_time(slow_once, seconds=0.05) == 7
    with pytest.raises(HangError):
        in_time(lambda: time.sleep(0.3), seconds=0.05)
    with pytest.raises(KeyError):
        in_time(lambda: {}["nothing"], seconds=1.0)
