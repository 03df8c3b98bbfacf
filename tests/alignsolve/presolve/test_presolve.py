"""solve() with a presolve: the optimum, the status and the certificate are those of the problem as given."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignsolve import AlignmentProblem, Answer, Capabilities, Feature, ProblemClass, RowBlocks, Status, solve
from alignsolve.front import describe_solvers, prepare, simplify
from alignsolve.presolve import pipeline
from alignsolve.presolve.pipeline import RULES, presolve
from alignsolve.solver import EVERYTHING
from tests import oracle, strategies

pytestmark = pytest.mark.usefixtures("small_problems_are_presolved")

BLIND = {"topk", "random", "rolling", "expert-choice"}


def any_problem():
    return st.one_of(strategies.simplifiable_problems(), strategies.problems())


def counted(num_clients=12, num_experts=4, **fields):
    """Return a problem whose budgets and loads are counts."""
    rng = np.random.default_rng(3)
    given = {
        "client_capacity": num_experts,
        "client_load": np.full(num_clients, 2.0),
        "expert_capacity": 2.0 * (num_clients // 2) + 1.0,
        "client_budget": rng.integers(4, 12, num_clients),
        "expert_cost": 3.0 + np.zeros(num_experts),
    }
    return AlignmentProblem(rng.integers(1, 40, (num_clients, num_experts)), **given | fields)


@settings(max_examples=100)
@given(any_problem(), st.integers(0, 2**32 - 1))
def test_every_reduction_keeps_the_feasible_alignments_and_their_worth(problem, seed):
    rng = np.random.default_rng(seed)
    for rule in RULES:
        reduction = rule(problem)
        for _ in range(6 if reduction else 0):
            x = rng.random(problem.shape) < rng.random()
            assert bool(problem.violations(x)) == bool(reduction.problem.violations(x)), reduction.told
            if not problem.violations(x):
                assert reduction.problem.objective(x) == pytest.approx(problem.objective(x), rel=1e-12, abs=1e-12)
                assert reduction.problem.integral or not problem.integral
        problem = reduction.problem if reduction else problem


@settings(max_examples=100)
@given(any_problem(), st.data())
def test_lifted_prices_prove_as_much_unless_a_claim_says_more(problem, data):
    for rule in RULES:
        reduction = rule(problem)
        if reduction is None:
            continue
        prices = data.draw(strategies.prices(problem.num_experts))
        lifted = reduction.lift_answer(Answer(prices=prices)).prices
        before, after = problem.bound(lifted), reduction.problem.bound(prices)
        if not reduction.proves_more:
            assert before <= after or before - after <= 1e-9 * max(1.0, abs(after))
        problem = reduction.problem


@settings(max_examples=40)
@given(any_problem())
def test_the_optimum_and_the_status_are_those_without_a_presolve(problem):
    best = oracle.best(problem)
    solution = solve(problem, throw=False)
    assert (solution.objective is None) == (best is None)
    if best is None:
        assert solution.status is Status.INFEASIBLE
        assert solution.witness is None or oracle.confirms(problem, solution.witness)
        return
    assert solution.status is Status.OPTIMAL
    assert oracle.feasible(problem, oracle.chosen(solution.x))
    scale = max(abs(float(best.objective)), 1e-3 * oracle.magnitude(problem, best.choices))
    assert abs(Fraction(solution.objective) - best.objective) <= 1e-9 * scale
    assert solution.objective <= solution.bound
    assert problem.bound(solution.prices) >= float(best.objective) - 1e-9 * scale


def test_reductions_follow_one_another():
    simpler = presolve(counted())
    assert simpler.told == ["1 of 1 budgets are counts of experts or never bind", "loads are counts of clients"]
    assert (simpler.given.class_, simpler.problem.class_) == (ProblemClass.GENERAL, ProblemClass.CARDINALITY)
    solution = solve(counted(), "flow")
    assert solution.stats["presolve"] == simpler.told
    assert solution.status is Status.OPTIMAL
    assert solution.objective == solve(counted(), "ilp", presolve=False).objective
    assert presolve(counted(), rules=()).problem.class_ is ProblemClass.GENERAL


def test_a_capacity_between_two_counts_is_closed_by_a_claim():
    """A capacity of 3 with loads of 2 is one client; the price bound of the problem as given counts one and a half."""
    problem = AlignmentProblem([[3.0], [2.0]], client_load=2.0 + np.zeros(2), expert_capacity=3.0)
    solution = solve(problem, "flow")
    assert (solution.objective, str(solution.status), str(solution.proof)) == (3.0, "OPTIMAL", "SOLVER")
    assert problem.bound(solution.prices) > 3.0


def test_an_infeasibility_that_only_the_counts_show_is_a_claim():
    """Two experts with a demand of 3 need two loads of 2 each: 4 loads of 3 clients, though 6 is all their load."""
    problem = AlignmentProblem(np.ones((3, 2)), client_load=2.0 + np.zeros(3), expert_demand=3.0)
    solution = solve(problem, "flow", throw=False)
    assert (str(solution.status), str(solution.proof), solution.witness) == ("INFEASIBLE", "SOLVER", None)
    enough = AlignmentProblem(np.ones((4, 2)), client_load=2.0 + np.zeros(4), expert_demand=3.0)
    assert solve(enough, "flow").status is Status.OPTIMAL
    short = AlignmentProblem(np.ones((2, 2)), client_load=2.0 + np.zeros(2), expert_demand=3.0)
    assert solve(short, "flow", throw=False).witness.side == "demand"


def test_warm_starts_go_down():
    cold = solve(counted(), "flow")
    seen = []

    class Curious:
        capabilities = Capabilities(presolve=True)

        def __call__(self, problem, *, warm_start, **_):
            seen.append((problem, warm_start))
            return Answer(warm_start.alignment, warm_start.prices)

    again = solve(counted(), Curious(), warm_start=cold)
    problem, warm = seen[0]
    assert problem.client_load is None
    assert np.array_equal(warm.prices, 2.0 * cold.prices)
    assert again.objective == cold.objective
    assert np.array_equal(again.prices, cold.prices)


def test_blind_baselines_and_plain_callables_see_the_problem_as_it_is():
    assert {name for name, declared in describe_solvers().items() if not declared.presolve} == BLIND
    seen = []
    solve(counted(), lambda problem, **_: seen.append(problem) or Answer(np.zeros(problem.shape, bool)))
    assert seen[0].class_ is ProblemClass.GENERAL
    soft = counted(overload_penalty=1.0, expert_capacity=12.0)
    assert presolve(soft).told
    for name in BLIND - {"expert-choice"}:
        assert "presolve" not in solve(soft, name, throw=False).stats


def test_a_presolve_can_be_switched_off():
    solution = solve(counted(), "lagrangian", presolve=False)
    assert "presolve" not in solution.stats
    with pytest.raises(ValueError, match="weighted loads"):
        solve(counted(), "flow", presolve=False)


def test_small_problems_are_left_alone(monkeypatch):
    monkeypatch.setattr(pipeline, "PRESOLVE_PAIRS", 1 << 8)
    assert simplify(counted(), lambda: None).told == []
    assert "presolve" not in solve(counted(), "ilp").stats


def test_a_solver_that_cannot_take_what_presolve_makes_gets_the_problem_as_given():
    class Narrow:
        capabilities = Capabilities(EVERYTHING - {Feature.ELIGIBILITY}, presolve=True)

        def __call__(self, problem, **_):
            assert problem.eligible is None
            return Answer(np.zeros(problem.shape, bool))

    problem = AlignmentProblem(np.ones((2, 3)), 2, client_budget=[2.0, 9.0], expert_cost=[3.0, 1.0, 2.0])
    assert presolve(problem).told == ["1 pairs cost more than the client's budget"]
    assert solve(problem, Narrow()).objective == 0


def test_without_an_eligible_pair_nothing_is_left():
    nonsense = np.full((3, 2), np.nan)
    fields = {"client_load": nonsense, "expert_cost": nonsense, "client_budget": 0.0, "expert_capacity": 1.0}
    problem = AlignmentProblem(nonsense, eligible=np.zeros((3, 2), bool), **fields)
    assert presolve(problem).problem.class_ is ProblemClass.CARDINALITY
    assert (solve(problem, "flow").objective, str(solve(problem, "flow").proof)) == (0.0, "PRICES")


def test_fitness_in_blocks_is_not_read():
    def read(start, stop):
        reads.append((start, stop))
        return np.ones((stop - start, 2))

    reads = []
    eligible = np.kron(np.eye(2, dtype=bool), np.ones((2, 1), bool))
    rows = RowBlocks((4, 2), np.float64, read)
    problem = AlignmentProblem(rows, client_load=3.0 + np.zeros(4), expert_capacity=3.0, eligible=eligible)
    reads.clear()
    assert presolve(problem).told == ["loads are counts of clients"]
    assert reads == []


def test_a_time_limit_is_kept_and_code_is_compiled_before():
    prepared = []

    class Careful:
        capabilities = Capabilities(presolve=True)

        def prepare(self, problem):
            prepared.append(problem.class_)

        def __call__(self, problem, *, deadline, **_):
            return Answer(np.zeros(problem.shape, bool))

    solve(counted(), Careful(), time_limit=5.0)
    prepare(counted(), Careful())
    assert prepared == [ProblemClass.CARDINALITY] * 2


def test_an_answer_of_another_kind_is_refused():
    class Odd:
        capabilities = Capabilities(presolve=True)

        def __call__(self, problem, **_):
            return None

    with pytest.raises(TypeError, match="must return an Answer"):
        solve(counted(), Odd())


def test_rounding_at_a_huge_price_decides_nothing():
    """Flow prices the expert without bounds at -1e6; the bound of the problem as given is rounded up at that scale."""
    problem = AlignmentProblem([[-1e6, 0.5]], client_budget=[np.inf], expert_cost=[0.0, 0.0])
    solution = solve(problem, "flow")
    assert (solution.status, str(solution.proof)) == (Status.OPTIMAL, "PRICES")
    assert solution.prices.tolist() == [0.0, 0.0]
    bounded = AlignmentProblem([[-1e6, 0.5]] * 3, client_budget=3.0, expert_cost=[2.0, 2.0], expert_demand=[1.0, 0.0])
    assert solve(bounded, "flow").status is Status.OPTIMAL
