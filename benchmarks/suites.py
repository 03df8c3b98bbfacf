"""Which instances are raced by whom: every suite answers one question."""

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from alignsolve import SOLVERS, AlignmentProblem, ProblemClass
from alignsolve.io import load_problem
from benchmarks import stored
from benchmarks.peers import PEERS
from problems import FAMILIES, dimacs, orlib
from problems.orlib import Sense

SPREAD = 0.15
"""Half-width of the experts' bounds around their mean load where every client has one expert."""
WARM_UP_CLIENTS = 128
WARM_UP_STORED = 40_000
"""Enough for the compiled checks of large problems."""
LIMIT_MARK = "@"
"""Comes before the seconds in the name of a case with a time limit of its own."""
DIMACS = (".asn", ".min")
READABLE = (".npz", ".json", *DIMACS)


@dataclass(frozen=True)
class Case:
    """One instance, by what it takes to make it again in any process.

    Parameters
    ----------
    family
        A name in ``FAMILIES``, or the file that holds the problem.
    num_clients, num_experts, seed
        Of the instance; a file has no seed.
    one_each
        Every client gets exactly one expert: all that assignment solvers can take.
    stored
        "file" or "mapped" where it is to be read rather than made, see :mod:`benchmarks.stored`; "mapped" is uniform.
    time_limit
        Seconds that our solvers are given; None: what the command line says.
    sense
        Of a GAP file: whether it holds costs or profits.
    """

    family: str
    num_clients: int
    num_experts: int
    seed: int = 0
    one_each: bool = False
    stored: str = ""
    time_limit: float | None = None
    sense: Sense | None = None

    @property
    def name(self) -> str:
        """Short and unique within a run."""
        if self.from_file:
            return self.group
        seed = f"-s{self.seed}" if self.seed else ""
        limit = "" if self.time_limit is None else f"{LIMIT_MARK}{self.time_limit:g}s"
        return f"{self.group}-{self.num_clients}x{self.num_experts}{seed}{limit}"

    @property
    def group(self) -> str:
        """What is the same for all sizes: the line of a scaling plot."""
        if self.sense is not None:
            return f"{Path(self.family).stem}-{self.sense}"
        if self.from_file:
            return Path(self.family).name
        return f"{self.family}{'-c1' if self.one_each else ''}{f'-{self.stored}' if self.stored else ''}"

    @property
    def from_file(self) -> bool:
        """Whether it is read rather than made."""
        return self.sense is not None or Path(self.family).suffix in READABLE

    def make(self) -> AlignmentProblem:
        """Make or read the instance."""
        if self.sense is not None:
            return orlib.read(self.family, sense=self.sense)
        if self.from_file:
            return read(Path(self.family))
        return stored.load(self) if self.stored else self.in_memory()

    def in_memory(self) -> AlignmentProblem:
        """Make the instance by its family."""
        rng = np.random.default_rng([self.seed, self.num_clients, self.num_experts])
        problem = FAMILIES[self.family](rng, num_clients=self.num_clients, num_experts=self.num_experts)
        return one_each(problem) if self.one_each else problem

    def warm_up(self) -> "Case":
        """Return a small sibling on which code is compiled and imported before the clock starts."""
        if self.sense is not None:
            return Case("gap-a", WARM_UP_CLIENTS // 4, 4)
        if self.from_file:
            return Case("uniform", WARM_UP_CLIENTS, 4)
        clients = min(self.num_clients, WARM_UP_STORED if self.stored else WARM_UP_CLIENTS)
        return replace(self, num_clients=clients)


def one_each(problem: AlignmentProblem) -> AlignmentProblem:
    """Return the same fitness with exactly one expert a client and loads around their mean."""
    mean = problem.num_clients / problem.num_experts
    return AlignmentProblem(
        problem.fitness,
        client_demand=1,
        expert_demand=math.floor(mean * (1 - SPREAD)),
        expert_capacity=math.ceil(mean * (1 + SPREAD)),
        eligible=problem.eligible,
    )


def read(path: Path) -> AlignmentProblem:
    """Read a problem of ours (.npz, .json) or a DIMACS file (.asn, .min)."""
    if path.suffix in DIMACS:
        return dimacs.read(path)
    return load_problem(path)


def files(folder: Path) -> list[Case]:
    """Every problem in a folder, by name."""
    found = sorted(path for path in folder.iterdir() if path.suffix in READABLE)
    if not found:
        raise ValueError(f"there is no problem in {folder}: none of its files ends in {', '.join(READABLE)}")
    return [Case(str(path), *read(path).shape) for path in found]


@dataclass(frozen=True)
class Suite:
    """A question, as cases and contenders.

    Attributes
    ----------
    question
        What its tables answer.
    cases
        Smallest first: who times out is not asked again at a larger size.
    contenders
        Names; who cannot take an instance says so in a row.
    repeats, timeout, time_limit
        Unless the command line says otherwise; the timeout in seconds for each attempt, the time limit for our solvers.
    """

    question: str
    cases: tuple[Case, ...]
    contenders: tuple[str, ...]
    repeats: int = 3
    timeout: float = 60.0
    time_limit: float | None = None


def cardinality_families() -> tuple[str, ...]:
    """Families whose instances are feasible and of the cardinality class, seen on a tiny one."""
    tiny = partial(np.random.default_rng, 0)
    return tuple(
        name
        for name, family in FAMILIES.items()
        if family.feasible and family(tiny(), num_clients=8, num_experts=4).class_ is ProblemClass.CARDINALITY
    )


def limit_of(instance: str) -> float | None:
    """Read the time limit off a case's name."""
    _, mark, seconds = instance.rpartition(LIMIT_MARK)
    return float(seconds.removesuffix("s")) if mark else None


LIMITED = ((100, 16, 0.1), (10_000, 32, 1.0), (100_000, 64, 5.0), (100_000, 64, 60.0))
"""Sizes with the limits that they are given."""
LIMITED_FAMILIES = ("popular", "soft", "integers", "weighted", "budgets")
TYPICAL = ("uniform", "popular", "clustered")
EXACT = tuple(name for name in ("auto", "price", "flow") if name in SOLVERS)
GENERAL = tuple(name for name in ("lagrangian", "cpsat", "ilp") if name in SOLVERS)
BUDGETS = ((100, 16, 1.0), (1000, 32, 20.0), (10_000, 32, 20.0), (100_000, 64, 60.0), (1_000_000, 64, 90.0))
"""Clients, experts, and the seconds that our solvers have, of the suite of budgets."""
REFERENCE = "ortools"


def suites() -> dict[str, Suite]:
    """Every suite by name."""
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
    return {
        "budgets": Suite("How far from the best under budgets of bytes and seconds?", budgets, GENERAL, 1, 400.0),
        "small": Suite("Is everybody right, on every cardinality family?", small, (*SOLVERS, *PEERS), timeout=60.0),
        "scale": Suite("How does time grow with the number of clients?", scale, (*EXACT, REFERENCE), timeout=400.0),
        "hard": Suite("Is any structure of the fitness a trap?", hard, (*EXACT, REFERENCE), timeout=120.0),
        "peers": Suite("What do outside solvers take, and how long?", peers, (*EXACT, *PEERS), timeout=300.0),
        "memory": Suite("How much memory beside the fitness?", memory, ("price",), timeout=600.0),
        "overhead": Suite("What does solve() add to its back end?", overhead, ("flow", REFERENCE), repeats=9),
        "limits": Suite("Who keeps a time limit, and with what answer?", limits, tuple(SOLVERS), 1, timeout=150.0),
    }
