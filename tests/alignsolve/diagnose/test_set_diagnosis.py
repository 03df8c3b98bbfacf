"""Diagnosis, explanations, files, layers and the aligner where experts are in sets."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from alignsolve import Aligner, AlignmentProblem, Servers, Status, diagnose, join_layers, solve
from alignsolve.certificate.verify import verify
from alignsolve.diagnose import Weights
from alignsolve.io import load_problem, load_solution, save_problem, save_solution

WISHES = np.array([[9, 7, 1, 2], [9, 6, 3, 1], [8, 9, 2, 1], [2, 8, 7, 3], [1, 2, 6, 9]])


def projects(**fields):
    given = {"expert_capacity": 2, "expert_sets": [0, 0, 1, 1], "set_capacity": [3, 4], "client_demand": 1}
    return AlignmentProblem(WISHES, **given | fields)


def test_a_set_is_named_and_repaired_at_least_cost():
    diagnosis = diagnose(projects(set_capacity=[2, 2]), weights={"set_capacity": [5.0, 1.0]})
    assert "sets 0, 1 (experts 0, 1, 2, 3) can take a load of at most 4 together" in str(diagnosis)
    assert "raise the capacity of set 1 from 2 to 3" in str(diagnosis)
    assert diagnosis.repair.total == 1.0
    assert diagnosis.repaired.set_capacity.tolist() == [2.0, 3.0]
    assert solve(diagnosis.repaired).status is Status.OPTIMAL


def test_a_demand_of_a_set_is_lowered():
    diagnosis = diagnose(projects(set_demand=[0, 4], expert_capacity=1))
    assert diagnosis.repair is not None
    assert {change.kind for change in diagnosis.repair.changes} <= {"set_demand", "expert_capacity", "client_demand"}
    assert Weights().set_demand == 1.0


def test_one_more_place_of_a_set_is_priced_and_exact():
    diagnosis = diagnose(projects(), exact=True)
    assert diagnosis.worth.set_capacity.tolist()[0] == diagnosis.worth.exact_set_capacity.tolist()[0] == 1.0
    assert np.isnan(diagnosis.worth.set_capacity[1])
    assert "one more of the capacity of set 0 gains 1" in str(diagnosis)
    told = solve(projects()).explain(expert=0)
    assert "it is in set 0, which carries a load of 3 of at most 3, at least 0" in told
    assert "the price of the set is 1: one more unit of its capacity is worth at most 1" in told


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_files_keep_sets_prices_and_witnesses(tmp_path, suffix):
    problem = projects(set_overload_penalty=[np.inf, 2.0])
    save_problem(problem, tmp_path / f"problem{suffix}")
    again = load_problem(tmp_path / f"problem{suffix}")
    for field in ("expert_sets", "set_capacity", "set_demand", "set_overload_penalty", "set_shortfall_penalty"):
        np.testing.assert_array_equal(getattr(again, field), getattr(problem, field))
    for given in (problem, projects(set_capacity=[2, 2])):
        save_solution(solve(given, throw=False), tmp_path / f"solution{suffix}", overwrite=True)
        checked = verify(given, load_solution(tmp_path / f"solution{suffix}"))
        assert checked.holds, checked.differences
        assert checked.solution.status in {Status.OPTIMAL, Status.INFEASIBLE}


def test_stored_pairs_have_no_sets():
    with pytest.raises(ValueError, match="expert_sets is given with a sparse fitness: no solver takes"):
        AlignmentProblem(csr_array(WISHES), expert_sets=[0, 0, 1, 1], set_capacity=2)


def test_layers_keep_their_sets_and_a_server_spans_layers():
    plain = AlignmentProblem(WISHES[:, :3], client_demand=1, expert_capacity=4)
    layered = join_layers([projects(), plain])
    assert layered.problem.expert_sets.astype(int).tolist() == [[1, 1, 0, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0, 0]]
    solution = solve(layered.problem)
    assert sum(part.objective for part in layered.read(solution)) == solution.objective
    server = np.zeros((1, 6), dtype=bool)
    server[0, [0, 4]] = True
    hosted = replace(join_layers([plain, plain]).problem, expert_sets=server, set_capacity=2)
    assert solve(hosted).set_loads.tolist() == [2.0]


def test_the_aligner_keeps_the_capacity_of_servers():
    aligner = Aligner(sets=Servers(hosts=[0, 0, 1, 1], capacity=[2, 9], penalty=np.inf))
    state = aligner.init(num_clients=6, num_experts=4)
    solution, state = aligner.align(state, cohort=range(6))
    assert solution.set_loads.tolist() == [2.0, 4.0]
    assert state.softened_rounds == 0
    soft = Aligner(sets=Servers(hosts=[0, 0, 0, 0], capacity=2, penalty=0.0))
    assert soft.align(soft.init(num_clients=6, num_experts=4), cohort=range(6))[1].softened_rounds == 1
    with pytest.raises(ValueError, match="penalty is -1"):
        Servers(hosts=[0], capacity=1, penalty=-1)
