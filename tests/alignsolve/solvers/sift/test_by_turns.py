"""The prices that ``sift`` begins from, and the pairs that it sorts by them; against plain versions of each."""

import numpy as np
import pytest

from alignsolve import AlignmentProblem, Proof, solve
from alignsolve.solvers.sift import search
from alignsolve.solvers.sift.candidates import HELD, IN, OUT, best_of_experts, best_out, misplaced, pairs_in, sort_pairs
from alignsolve.solvers.sift.estimate import Turns, by_turns
from alignsolve.solvers.sift.network import Terms
from alignsolve.solvers.sift.places import Near

pytestmark = pytest.mark.kernels
N, E, GROUPS = 8, 24, 3


def layered(seed, n=N, **bounds):
    """Draw a problem with three groups; clients and experts together can take as much."""
    rng = np.random.default_rng(seed)
    fields = {
        "client_capacity": 6,
        "expert_capacity": n // 4,
        "expert_group": rng.permutation(np.arange(E) % GROUPS),
        "group_demand": rng.integers(0, 3, (n, GROUPS)),
        "group_capacity": rng.integers(3, 9, (n, GROUPS)),
        "eligible": rng.random((n, E)) < 0.9,
    }
    return AlignmentProblem(rng.normal(0.5, 1.0, (n, E)), **fields | bounds)


def turns(problem, threads=1):
    return Turns(Terms(problem), np.zeros(problem.num_experts), 10.0, threads)


def take(play):
    play.ask_clients(final=True)
    play.ask_experts(final=True)


@pytest.mark.parametrize("seed", range(10))
def test_a_client_takes_its_own_optimum_above_its_thresholds(seed):
    problem = layered(seed)
    play = turns(problem)
    take(play)
    value = np.where(problem.eligible, problem.fitness, -np.inf)
    for i in range(N):
        # Plainly: what groups demand, then the best of the rest within their capacities.
        taken, rest = [], []
        for g in range(GROUPS):
            row = sorted(np.flatnonzero(play.terms.group == g), key=lambda j: -value[i, j])
            need = problem.group_demand[i, g]
            taken += row[:need]
            rest += row[need : problem.group_capacity[i, g]]
        rest = [j for j in sorted(rest, key=lambda j: -value[i, j]) if value[i, j] > 0.0]
        taken += rest[: max(6 - len(taken), 0)]
        above = value[i] > play.clients.middle[i, play.terms.group]
        assert np.flatnonzero(above).tolist() == sorted(taken)


@pytest.mark.parametrize("seed", range(10))
def test_an_experts_price_leaves_it_its_best_clients(seed):
    play = turns(layered(seed, expert_demand=1))
    take(play)
    worth = play.terms.value - play.clients.middle[:, play.terms.group]
    worth = np.where(play.terms.allowed, worth, -np.inf)
    takes = (worth > play.experts.middle).sum(axis=0)
    assert ((takes == 2) | (play.experts.middle <= 0.0)).all()
    assert (takes <= 2).all()
    assert ((worth >= play.experts.middle).sum(axis=0) >= 1).all()


@pytest.mark.parametrize("seed", range(10))
def test_sorting_only_what_is_nearby_changes_nothing(seed):
    knowing, forgetting = turns(layered(seed)), turns(layered(seed))
    for _ in range(4):
        take(knowing)
        forgetting.near_clients, forgetting.near_experts = Near.unknown(N), Near.unknown(E)
        take(forgetting)
        for known, whole in zip(
            [*knowing.clients, *knowing.experts], [*forgetting.clients, *forgetting.experts], strict=True
        ):
            np.testing.assert_array_equal(known, whole)


def test_threads_change_nothing():
    alone, together = turns(layered(0, client_capacity=7)), turns(layered(0, client_capacity=7), threads=3)
    for _ in range(3):
        take(alone)
        take(together)
        for one, other in zip([*alone.clients, *alone.experts], [*together.clients, *together.experts], strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("client_capacity", "expert_capacity"), [(3, 5), (9, 1)])
def test_the_side_that_can_take_less_is_full_after_a_turn(client_capacity, expert_capacity):
    bounds = {"client_capacity": client_capacity, "expert_capacity": expert_capacity}
    problem = layered(0, **bounds, group_demand=0, group_capacity=E, eligible=None)
    estimate = by_turns(Terms(problem), np.zeros(E), 4, 10.0)
    gain = problem.fitness - estimate.experts.middle - estimate.clients.middle[:, problem.expert_group]
    least = min(N * client_capacity, E * expert_capacity)
    assert abs((gain > 0.0).sum() - least) <= 0.1 * least


@pytest.mark.parametrize("seed", range(10))
def test_pairs_held_and_chosen_break_no_capacity(seed):
    problem = layered(seed, n=80)
    terms = Terms(problem)
    found, role = by_turns(terms, np.zeros(E), 3, 10.0), np.zeros(problem.shape, dtype=np.uint8)
    number = sort_pairs(terms.value, terms.allowed, terms.group, found, role)
    room, most = terms.client_capacity.copy(), terms.group_capacity.copy()
    clients, experts, chosen = pairs_in(terms.value, terms.group, found, role, number, room, most, terms.expert_room)
    assert len(clients) == number == (role == IN).sum()
    assert (role[clients, experts] == IN).all()
    assert not role[~problem.eligible].any()
    x = role == HELD
    assert x.any()
    x[clients[chosen], experts[chosen]] = True
    assert (x.sum(axis=1) <= 6).all()
    assert (x.sum(axis=0) <= 20).all()
    inside = np.stack([x[:, problem.expert_group == g].sum(axis=1) for g in range(GROUPS)], axis=1)
    assert (inside <= problem.group_capacity).all()


def drawn(seed):
    rng = np.random.default_rng(seed)
    role = rng.choice([OUT, IN, HELD], (6, 12), p=[0.6, 0.2, 0.2]).astype(np.uint8)
    return rng.random((6, 12)), rng.random((6, 12)) < 0.8, role, np.arange(12) % 3, rng.random(12), rng


@pytest.mark.parametrize("seed", range(5))
def test_misplaced_pairs_are_those_of_a_sort(seed):
    value, allowed, role, group, prices, rng = drawn(seed)
    threshold, before = rng.random((6, 3)) - 0.5, role.copy()
    gain = value - prices - threshold[:, group]
    expected = {(i, j, True) for i, j in zip(*np.nonzero((role == HELD) & (gain < -0.1)), strict=True)}
    open_ = (role == OUT) & allowed & (gain > 0.1)
    for i in range(6):
        for g in range(3):
            best = sorted(np.flatnonzero(open_[i] & (group == g)), key=lambda j: -gain[i, j])
            expected |= {(i, j, False) for j in best[:2]}
    clients, experts, held = misplaced(value, allowed, role, group, prices, threshold, 2, 0.1)
    assert set(zip(clients.tolist(), experts.tolist(), held.tolist(), strict=True)) == expected
    assert (role[clients, experts] == IN).all()
    before[clients, experts] = IN
    np.testing.assert_array_equal(role, before)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_pairs_that_are_out_are_those_of_a_sort(seed):
    value, allowed, role, group, prices, _ = drawn(seed)
    rows, groups = np.array([0, 3, 5, 5]), np.array([2, 0, 1, 2])
    expected = []
    for i, g in zip(rows, groups, strict=True):
        open_ = np.flatnonzero((role[i] == OUT) & allowed[i] & (group == g))
        expected += [(i, j) for j in sorted(open_, key=lambda j: prices[j] - value[i, j])[:2]]
    clients, experts = best_out(value, allowed, role, group, prices, rows, groups, 2)
    assert list(zip(clients, experts, strict=True)) == expected


@pytest.mark.parametrize("seed", range(5))
def test_the_best_clients_of_experts_are_those_of_a_sort(seed):
    value, allowed, role, _, _, rng = drawn(seed)
    count, before = rng.integers(0, 5, 12), role.copy()
    expected = set()
    for j in range(12):
        best = sorted(np.flatnonzero(allowed[:, j]), key=lambda i: -value[i, j])[: count[j]]
        expected |= {(i, j) for i in best if before[i, j] == OUT}
    clients, experts = best_of_experts(value, allowed, role, count)
    assert set(zip(clients.tolist(), experts.tolist(), strict=True)) == expected
    before[clients, experts] = IN
    np.testing.assert_array_equal(role, before)


@pytest.mark.parametrize("few", [0.0, 1e9])
def test_both_ways_to_begin_prove_the_same_optimum(few, monkeypatch):
    monkeypatch.setattr(search, "FEW", few)
    problem = layered(3)
    found = solve(problem, "sift")
    assert found.proof is Proof.PRICES
    assert found.objective == pytest.approx(solve(problem, "flow").objective, abs=1e-9)
