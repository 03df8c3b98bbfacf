"""The suites: the instances that are raced, and the contenders that race on them. Every suite answers one question."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from alignsolve import SOLVERS, ProblemClass
from benchmarks.case import Case
from benchmarks.peers import PEERS
from benchmarks.real import real_cases
from benchmarks.set_shapes import set_cases
from benchmarks.shapes import byte_cases, limited_cases, shape_cases
from problems import FAMILIES


@dataclass(frozen=True)
class Suite:
    """A question, with the cases and contenders that answer it.

    Attributes
    ----------
    question
        The question that the suite's tables answer.
    cases
        The instances, smallest first: a contender that times out skips larger sizes.
    contenders
        Names of contenders; one that cannot take an instance gets a row that says so.
    repeats, timeout, time_limit
        Defaults of the command line: number of repeats, timeout of each attempt in seconds, time limit of our solvers.
    most_pairs
        Contenders that are asked for small instances only: the most pairs (clients × experts) of an instance.
    left_out
        Globs for INSTANCE/CONTENDER that are not asked, with the reason that their rows give.
    once_from
        Seconds from which on one attempt of a contender is enough.
    keep
        Whether a contender's process stays for the next instance: for many small instances, whose memory is not asked.
    """

    question: str
    cases: tuple[Case, ...]
    contenders: tuple[str, ...]
    repeats: int = 3
    timeout: float = 60.0
    time_limit: float | None = None
    most_pairs: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    once_from: float = math.inf
    keep: bool = False


def cardinality_families() -> tuple[str, ...]:
    """Return the families with feasible instances of the cardinality class, judged by a tiny instance."""
    tiny = partial(np.random.default_rng, 0)
    return tuple(
        name
        for name, family in FAMILIES.items()
        if family.feasible and family(tiny(), num_clients=8, num_experts=4).class_ is ProblemClass.CARDINALITY
    )


LIMITED = ((100, 16, 0.1), (10_000, 32, 1.0), (100_000, 64, 5.0), (100_000, 64, 60.0))
"""Clients, experts, and time limits in seconds of the suite ``limits``."""
LAYERED_LIMITS = (1.0, 5.0, 60.0)
"""Seconds for all layers of a model, in the suite ``limits``."""
LIMITED_FAMILIES = ("popular", "soft", "integers", "weighted", "budgets")
TYPICAL = ("uniform", "popular", "clustered")
EXACT = tuple(name for name in ("auto", "price", "flow") if name in SOLVERS)
GENERAL = tuple(name for name in ("lagrangian", "cpsat", "ilp") if name in SOLVERS)
BUDGETS = ((100, 16, 1.0), (1000, 32, 20.0), (10_000, 32, 20.0), (100_000, 64, 60.0), (1_000_000, 64, 90.0))
"""Clients, experts, and time limits in seconds of the suite ``budgets``."""
REFERENCE = "ortools"
USUAL = ("scipy-lsa", "lapx", "ortools", "ortools-lsa", "highs-simplex")
"""The peers that a user would take for an assignment or a flow."""
SMALL_PAIRS = 1 << 18
"""Pairs (clients × experts) up to which the suite ``shapes`` asks HiGHS."""
PADDED = "it pads the matrix to a square of 5,000 × 5,000, which took 130 s"
SLOW_PEERS = ("networkx", "networkx-simplex", "scipy-linprog", "highs-ipm", "pulp-cbc")
"""Contenders that the suite ``real`` asks for instances with at most 32,768 pairs."""
HOPELESS = {
    "rectangular-uniform-200x5000/lapx": PADDED,
    "rectangular-uniform-5000x200/lapx": PADDED,
    "square-rank1-2000x2000/lapx": "it took a minute where the others take seconds",
    "wide-c1e3-10000x256/lapx": "it had no answer after a minute",
}
"""Entrants of the suite ``shapes`` that are known to take minutes."""

SET_PEER_PAIRS = 6_400_000
"""Pairs up to which an outside system is asked in the suite ``sets``: it would take minutes with more."""


def real_suite(folder: str | None) -> Suite:
    """Return the suite ``real`` with the measured files of a folder, or with the drawn stand-in (None)."""
    question = "Who solves MoE-Align? A name begins with its inputs: measured (real) or the drawn stand-in (drawn)."
    small_only = dict.fromkeys(SLOW_PEERS, SMALL_PAIRS // 8)
    return Suite(question, real_cases(folder), (*SOLVERS, *PEERS), 1, 20.0, 5.0, small_only, keep=True)


def suites() -> dict[str, Suite]:
    """Return all suites by name."""
    small = tuple(Case(family, 1000, 16) for family in cardinality_families())
    small += tuple(Case(family, 1000, 16, one_each=True) for family in TYPICAL)
    small += tuple(Case(family, 1000, 32) for family in TYPICAL)
    scale = tuple(Case(family, clients, 64) for clients in (10_000, 100_000) for family in TYPICAL)
    scale += tuple(Case(family, 100_000, 512) for family in ("uniform", "popular"))
    scale += tuple(Case(family, 1_000_000, 64) for family in TYPICAL)
    every = cardinality_families()
    hard = tuple(Case(family, clients, 64) for clients in (1000, 3000, 10_000, 30_000, 100_000) for family in every)
    peers = tuple(
        Case(family, clients, 32, one_each=single)
        for clients in (1000, 10_000, 100_000)
        for family, single in (("uniform", False), ("popular", False), ("uniform", True), ("popular", True))
    )
    memory = tuple(Case(family, 1_000_000, 64, stored="file") for family in TYPICAL)
    memory += (Case("uniform", 10_000_000, 64, stored="mapped"),)
    overhead = tuple(Case(family, 10_000, 32) for family in ("uniform", "popular"))
    budgets = tuple(Case("budgets", clients, experts, time_limit=limit) for clients, experts, limit in BUDGETS)
    limits = tuple(Case("weighted", 100, 20, time_limit=limit) for limit in (5.0, 60.0))
    limits += tuple(
        Case(family, clients, experts, time_limit=limit)
        for clients, experts, limit in LIMITED
        for family in LIMITED_FAMILIES
    )
    limits = tuple(sorted((*limits, *limited_cases(LAYERED_LIMITS)), key=lambda case: case.num_clients))
    return {
        "budgets": Suite(
            "How far from the optimum are answers under budgets of bytes and seconds?", budgets, GENERAL, 1, 400.0
        ),
        "small": Suite("Are all answers right, on every cardinality family?", small, (*SOLVERS, *PEERS), timeout=60.0),
        "scale": Suite("How does time grow with the number of clients?", scale, (*EXACT, REFERENCE), timeout=400.0),
        "hard": Suite(
            "Does any structure of the fitness make a solver slow?", hard, (*EXACT, REFERENCE), timeout=120.0
        ),
        "peers": Suite(
            "Which problems do outside solvers take, and how long do they need?", peers, (*EXACT, *PEERS), timeout=300.0
        ),
        "memory": Suite("How much memory is needed beside the fitness?", memory, ("price",), timeout=600.0),
        "overhead": Suite("What does solve() add to its back end?", overhead, ("flow", REFERENCE), repeats=9),
        "shapes": Suite(
            "Is any shape slower than the best tool that a user would take for it?",
            shape_cases(),
            ("auto", *USUAL),
            most_pairs={"highs-simplex": SMALL_PAIRS},
            left_out=HOPELESS,
            once_from=10.0,
        ),
        "real": real_suite(None),
        "bytes": Suite("What does a budget of bytes over all layers cost?", byte_cases(), ("auto",), timeout=150.0),
        "sets": Suite(
            "What do sets of experts cost, where they bind and where they do not?",
            set_cases(),
            ("price", REFERENCE),
            timeout=400.0,
            most_pairs={REFERENCE: SET_PEER_PAIRS},
        ),
        "limits": Suite(
            "Which solvers keep a time limit, and how good are their answers?", limits, tuple(SOLVERS), 1, timeout=150.0
        ),
    }
