"""A case: the description from which an instance of a suite can be made again in any process.

The description is small and becomes JSON, so that a worker process gets it instead of the instance itself;
:mod:`benchmarks.instances` makes the instance.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from problems.orlib import Sense

WARM_UP_CLIENTS = 128
WARM_UP_SHARE = 4
"""A warm-up instance of the same shape has a quarter of the clients and of the experts."""
WARM_UP_STORED = 40_000
"""Clients of a warm-up instance that is read from a file: enough to compile the checks of large problems."""
LIMIT_MARK = "@"
"""Comes before the seconds in the name of a case with a time limit of its own."""
DIMACS = (".asn", ".min")
READABLE = (".npz", ".json", *DIMACS)
"""Suffixes of the problem files that a case can name."""


@dataclass(frozen=True)
class Case:
    """One instance, described by its family and sizes, or by its file.

    Parameters
    ----------
    family
        A name in ``FAMILIES`` or ``SHAPES`` (:mod:`benchmarks.shapes`), a family of :mod:`benchmarks.real`, or the path
        of the file that holds the problem.
    num_clients, num_experts, seed
        Sizes and seed of the instance; a file has no seed.
    one_each
        Every client gets exactly one expert: the only problems that assignment solvers can take.
    stored
        "file" or "mapped" where the instance is read from disk rather than made in memory, see
        :mod:`benchmarks.instances`; a "mapped" instance is of the family ``uniform``.
    time_limit
        Seconds that our solvers are given; None: the limit of the command line.
    sense
        Of a GAP file: whether it holds costs ("min") or profits ("max").
    same_shape
        Whether the warm-up instance has fewer experts as well: where the ratio of clients to experts is what counts.
    inputs
        The folder of measured inputs of a case of the suite ``real``; None: the drawn stand-in.
    asked
        The contenders that are asked for this instance; none named: all of the suite.
    """

    family: str
    num_clients: int
    num_experts: int
    seed: int = 0
    one_each: bool = False
    stored: str = ""
    time_limit: float | None = None
    sense: Sense | None = None
    same_shape: bool = False
    inputs: str | None = None
    asked: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A short name, unique within a run."""
        if self.from_file:
            return self.group
        seed = f"-s{self.seed}" if self.seed else ""
        limit = "" if self.time_limit is None else f"{LIMIT_MARK}{self.time_limit:g}s"
        return f"{self.group}-{self.num_clients}x{self.num_experts}{seed}{limit}"

    @property
    def group(self) -> str:
        """The part of the name that all sizes share: one line of a scaling plot."""
        if self.sense is not None:
            return f"{Path(self.family).stem}-{self.sense}"
        if self.from_file:
            return Path(self.family).name
        return f"{self.family}{'-c1' if self.one_each else ''}{f'-{self.stored}' if self.stored else ''}"

    @property
    def from_file(self) -> bool:
        """Whether the case names a problem file."""
        return self.sense is not None or Path(self.family).suffix in READABLE

    def warm_up(self) -> "Case":
        """Return a smaller case on which code is compiled and imported before the clock starts."""
        if self.sense is not None:
            return Case("gap-a", WARM_UP_CLIENTS // 4, 4)
        if self.from_file:
            return Case("uniform", WARM_UP_CLIENTS, 4)
        if self.same_shape:
            clients, experts = (max(size // WARM_UP_SHARE, 1) for size in (self.num_clients, self.num_experts))
            return replace(self, num_clients=clients, num_experts=experts)
        clients = min(self.num_clients, WARM_UP_STORED if self.stored else WARM_UP_CLIENTS)
        return replace(self, num_clients=clients)


def limit_of(instance: str) -> float | None:
    """Read the time limit in seconds off a case's name; None if it has none."""
    _, mark, seconds = instance.rpartition(LIMIT_MARK)
    return float(seconds.removesuffix("s")) if mark else None
