"""Compile the search for generalised assignment on a tiny problem, before the clock of a time limit starts."""

import math
from functools import cache

import numpy as np

from alignsolve.problem import AlignmentProblem
from alignsolve.solvers.generalised_assignment import program
from alignsolve.solvers.generalised_assignment.instance import read
from alignsolve.solvers.generalised_assignment.local_search import FIRST, LocalSearch
from alignsolve.solvers.generalised_assignment.multipliers import Multipliers
from alignsolve.solvers.generalised_assignment.restricted import Restrictions
from alignsolve.solvers.generalised_assignment.tree import Tree


@cache
def warm_up_search() -> None:
    """Compile everything; for a solver's ``prepare``."""
    problem = AlignmentProblem([[3, 1], [2, 2], [1, 3]], client_demand=1, expert_capacity=4, client_load=[1, 2, 3])
    instance = read(problem)
    # This loads HiGHS.
    program.relax(instance, math.inf)
    local = LocalSearch(instance, np.ones(2), np.zeros(3, dtype=np.int64), 0)
    local.run(10 * FIRST, math.inf)
    # On so small an instance the descents alone hardly ever lead to a walk.
    local.walk()
    local.tell(np.array([0, 0, 1]), -8.0)
    multipliers = Multipliers(instance, np.zeros(3))
    multipliers.climb(0.0, math.inf, 2)
    multipliers.open_pairs(0.0)
    Restrictions(instance, multipliers).next(np.array([0, 0, 1]), -5.0, -6.0, math.inf)
    Tree(instance, instance.open, np.zeros(3), 0.0).run(50, math.inf)
