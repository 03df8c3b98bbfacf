"""``augment``: equal to brute force on tiny problems and to SciPy on one-to-one problems; every answer is proven."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from scipy.optimize import linear_sum_assignment

from alignsolve import AlignmentProblem, Feature, Proof, Status, UnsupportedError, solve
from alignsolve.solvers.shortest_paths import search, short_lists
from tests import oracle
from tests.strategies import cardinality_problems

SHAPES = [(1, 1), (1, 70), (70, 1), (60, 60), (40, 150), (150, 40)]
TAKEN = frozenset(Feature) - {Feature.GROUPS, Feature.SOFT_BOUNDS, Feature.WEIGHTED_LOADS, Feature.BUDGETS}


def proven(problem, **given):
    """Solve; the answer must be proven."""
    solution = solve(problem, "augment", **given)
    assert (solution.status, solution.proof) == (Status.OPTIMAL, Proof.PRICES)
    assert problem.violations(solution.assigned) == []
    return solution


def best_total(worth):
    """SciPy's best total, where both sides may stay without."""
    padded = np.maximum(worth.astype(np.float64), 0)
    rows, columns = linear_sum_assignment(padded, maximize=True)
    return padded[rows, columns].sum()


def drawn(kind, shape, rng):
    """Draw a fitness matrix."""
    if kind == "rank one":
        return np.outer(rng.random(shape[0]), rng.random(shape[1]))
    if kind == "integers":
        return rng.integers(-20, 100, shape)
    if kind == "ties":
        return rng.integers(0, 2, shape)
    if kind == "zeros":
        return np.zeros(shape)
    if kind == "negative":
        return rng.random(shape) - 0.99
    return rng.random(shape).astype(np.float32 if kind == "float32" else np.float64)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "kind", ["floats", "float32", "integers", "ties", "zeros", "rank one", "negative"], ids=lambda kind: kind
)
def test_one_to_one_is_as_good_as_scipy(kind, shape):
    fitness = drawn(kind, shape, np.random.default_rng(5))
    solution = proven(AlignmentProblem(fitness, expert_capacity=1))
    assert solution.objective == pytest.approx(best_total(fitness), rel=1e-9, abs=1e-12)
    # Where every client demands an expert, or every expert a client, it cannot be left out.
    demanding = {"client_demand": 1} if shape[0] <= shape[1] else {"expert_demand": 1}
    solution = proven(AlignmentProblem(fitness, expert_capacity=1, **demanding))
    rows, columns = linear_sum_assignment(fitness, maximize=True)
    assert solution.objective == pytest.approx(float(fitness[rows, columns].sum()), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("shape", [(60, 60), (40, 150), (150, 40)])
def test_pairs_that_are_not_eligible_are_never_read(shape):
    rng = np.random.default_rng(6)
    fitness, eligible = rng.random(shape), rng.random(shape) < 0.1
    hidden = np.where(eligible, fitness, rng.choice([np.nan, np.inf, -np.inf], shape))
    solution = proven(AlignmentProblem(hidden, expert_capacity=1, eligible=eligible))
    assert solution.objective == pytest.approx(best_total(np.where(eligible, fitness, 0)))
    nobody = AlignmentProblem(hidden * np.nan, expert_capacity=1, eligible=np.zeros(shape, dtype=bool))
    assert proven(nobody).objective == 0


def test_required_pairs_and_switching_costs_count():
    rng = np.random.default_rng(7)
    n = 60
    fitness, previous = rng.random((n, n)), rng.random((n, n)) < 0.1
    required = np.zeros((n, n), dtype=bool)
    required[[3, 5], [7, 2]] = True
    problem = AlignmentProblem(
        fitness, expert_capacity=1, client_demand=1, required=required, previous=previous, switching_cost=0.5
    )
    worth = np.where(previous, fitness, fitness - 0.5) + 100 * required
    rows, columns = linear_sum_assignment(worth, maximize=True)
    assert proven(problem).objective == pytest.approx(worth[rows, columns].sum() - 200)


@pytest.mark.parametrize("experts_first", [False, True])
def test_demands_of_the_longer_side_are_met_by_a_second_search(experts_first):
    rng = np.random.default_rng(8)
    fitness = rng.random((30, 90)) - 2.0
    least = np.zeros(90, dtype=int)
    least[::4] = 1
    many = {"expert_demand": least} if not experts_first else {"client_demand": least}
    problem = AlignmentProblem(fitness.T if experts_first else fitness, expert_capacity=1, **many)
    rows, columns = linear_sum_assignment(fitness[:, ::4], maximize=True)
    assert proven(problem).objective == pytest.approx(fitness[:, ::4][rows, columns].sum())


def test_capacities_above_one_are_taken():
    rng = np.random.default_rng(9)
    problem = AlignmentProblem(
        rng.random((80, 70)), client_capacity=rng.integers(1, 5, 80), client_demand=1,
        expert_capacity=rng.integers(1, 5, 70), expert_demand=rng.integers(0, 2, 70),
    )  # fmt: skip
    assert proven(problem).objective == pytest.approx(solve(problem, "flow").objective)


@pytest.mark.parametrize("seed", range(20))
def test_a_second_search_starts_from_tight_duals(seed):
    rng = np.random.default_rng(seed)
    fitness, least = rng.random((18, 67)), rng.integers(0, 2, 67) * (rng.random(67) < 0.5)
    proven(AlignmentProblem(fitness, client_capacity=2, expert_capacity=1, expert_demand=least))
    proven(AlignmentProblem(fitness.T, expert_capacity=2, client_demand=least))


@pytest.mark.kernels
@pytest.mark.parametrize("kind", ["floats", "integers", "ties", "rank one"])
def test_short_lists_and_whole_rows_lead_to_the_same_end(kind, monkeypatch):
    monkeypatch.setattr(short_lists, "WIDTH", 9)
    fitness = drawn(kind, (24, 30), np.random.default_rng(10))
    for shown in (fitness, fitness.T.copy()):
        problem = AlignmentProblem(shown, expert_capacity=1, expert_demand=0)
        assert proven(problem).objective == pytest.approx(best_total(shown))
    general = AlignmentProblem(fitness, client_capacity=2, client_demand=1, expert_capacity=3, expert_demand=1)
    assert proven(general).objective == pytest.approx(solve(general, "flow").objective)


@pytest.mark.kernels
@pytest.mark.parametrize(
    ("given", "side", "experts"),
    [
        ({"client_demand": 1}, "capacity", [0, 1]),
        ({"client_demand": [1, 1, 1, 0], "expert_demand": [0, 0, 1]}, "capacity", [0, 1]),
        ({"expert_demand": [0, 0, 1]}, "demand", [2]),
    ],
)
def test_infeasible_is_told_with_a_witness(given, side, experts):
    eligible = np.array([[1, 1, 0]] * 3 + [[1, 1, 0]], dtype=bool)
    for stretch in (1, 2):  # more clients than experts, and no more
        wide = np.hstack([eligible, np.zeros((4, 3 * stretch - 2), dtype=bool)])
        padded = {name: value if np.isscalar(value) or len(value) == 4 else np.pad(value, (0, wide.shape[1] - 3))
                  for name, value in given.items()}  # fmt: skip
        solution = solve(AlignmentProblem(np.ones(wide.shape), eligible=wide, expert_capacity=1, **padded), "augment",
                         throw=False)  # fmt: skip
        assert (solution.status, solution.proof) == (Status.INFEASIBLE, Proof.PRICES)
        assert solution.witness.side == side
        assert np.flatnonzero(solution.witness.experts).tolist() == experts


def test_more_required_than_an_expert_can_take_is_told():
    problem = AlignmentProblem(np.ones((3, 3)), expert_capacity=1, required=np.eye(3, dtype=bool)[[0, 0, 1]])
    solution = solve(problem, "augment", throw=False)
    assert solution.status is Status.INFEASIBLE
    assert np.flatnonzero(solution.witness.experts).tolist() == [0]


@settings(max_examples=80, deadline=None)
@given(cardinality_problems(max_clients=4, max_experts=4))
def test_tiny_problems_are_solved_as_by_brute_force(problem):
    assume(problem.features <= TAKEN)
    best = oracle.best(problem)
    solution = solve(problem, "augment", throw=False)
    if best is None:
        assert (solution.status, solution.proof) == (Status.INFEASIBLE, Proof.PRICES)
        return
    assert (solution.status, solution.proof) == (Status.OPTIMAL, Proof.PRICES)
    choices = oracle.chosen(solution.x)
    assert oracle.feasible(problem, choices)
    scale = oracle.magnitude(problem, choices)
    assert abs(oracle.objective(problem, choices) - best.objective) <= 1e-9 * max(abs(float(best.objective)), scale)


def test_integers_too_large_for_exact_sums_are_still_proven():
    fitness = np.random.default_rng(11).integers(-(2**53), 2**53, (60, 60))
    solution = proven(AlignmentProblem(fitness, expert_capacity=1))
    assert solution.objective == pytest.approx(best_total(fitness.astype(float)))


def test_a_deadline_leaves_a_feasible_alignment_or_none(monkeypatch):
    fitness = np.random.default_rng(12).random((300, 300))
    monkeypatch.setattr("alignsolve.solvers.shortest_paths.solver.ROWS_AT_ONCE", 10)
    optional, demanding = (AlignmentProblem(fitness, expert_capacity=1, client_demand=k) for k in (0, 1))
    calls = iter(range(1000))
    for problem, late in ((optional, False), (demanding, True)):
        for stop in (0, 3, 8):
            calls = iter(range(1000))
            clock = lambda calls=calls, stop=stop: 0.0 if next(calls) <= stop else 2.0  # noqa: E731
            answer = asked(problem, clock, monkeypatch)
            assert answer.witness is None
            assert (answer.x is None) == late
            if answer.x is not None:
                assert problem.violations(answer.x) == []
            assert problem.bound(answer.prices) >= proven(problem).objective


def asked(problem, clock, monkeypatch):
    """Ask the solver under a clock of our own, with a deadline of 1."""
    from alignsolve.solver import WarmStart  # noqa: PLC0415
    from alignsolve.solvers.shortest_paths import Augment, solver  # noqa: PLC0415

    with monkeypatch.context() as patch:
        patch.setattr(solver.time, "monotonic", clock)
        return Augment()(problem, deadline=1.0, warm_start=WarmStart(), seed=0, threads=1, progress=None)


def test_groups_and_soft_bounds_are_refused():
    with pytest.raises(UnsupportedError):
        solve(AlignmentProblem(np.ones((2, 2)), expert_group=[0, 1]), "augment")
    with pytest.raises(UnsupportedError):
        solve(AlignmentProblem(np.ones((2, 2)), expert_capacity=1, overload_penalty=1.0), "augment")


def test_whole_rows_are_read_where_lists_do_not_help():
    fitness = np.outer(*np.random.default_rng(13).random((2, 150)))
    assert proven(AlignmentProblem(fitness, expert_capacity=1)).objective == pytest.approx(best_total(fitness))
    assert search.WHOLE_ROWS < 150
