"""ProblemView: what the certificate reads of a problem, as a read-only protocol.

:class:`~alignsolve.AlignmentProblem` has all of it. The certificate asks for this protocol and not for the class. So
the class can ask the certificate for objectives, violations and bounds, and no file imports another in a circle.
"""

from collections.abc import Iterator
from typing import Protocol

from alignsolve.data.blocks import ClientBlock, RowBlocks
from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.data.expert_sets import ExpertSets
from alignsolve.data.names import Names
from alignsolve.data.stored import StoredPairs
from alignsolve.numerics import BoolArray, FloatArray, IntArray, RealArray


class ProblemView(Protocol):
    """A problem's data, to be read in blocks of clients; shapes as in :class:`~alignsolve.AlignmentProblem`."""

    @property
    def num_clients(self) -> int:
        """Rows."""
        ...

    @property
    def num_experts(self) -> int:
        """Columns."""
        ...

    @property
    def num_groups(self) -> int:
        """Groups of experts; 0 where the problem has none."""
        ...

    @property
    def fitness(self) -> RealArray | RowBlocks | StoredPairs:
        """In memory, read in blocks, or stored pairs."""
        ...

    @property
    def client_capacity(self) -> IntArray:
        """(num_clients,) most experts per client."""
        ...

    @property
    def client_demand(self) -> IntArray:
        """(num_clients,) fewest experts per client."""
        ...

    @property
    def client_load(self) -> FloatArray | None:
        """(num_clients, num_experts) load of each pair; None: every pair loads its expert by 1."""
        ...

    @property
    def client_budget(self) -> FloatArray | None:
        """(num_clients, num_resources) budgets; None where the problem has none."""
        ...

    @property
    def eligible(self) -> BoolArray | None:
        """(num_clients, num_experts) pairs that may be chosen; None: all."""
        ...

    @property
    def stored(self) -> StoredPairs | None:
        """The stored pairs of a sparse problem, the only eligible ones; None where the fitness is a full matrix."""
        ...

    @property
    def required(self) -> BoolArray | StoredPairs | None:
        """(num_clients, num_experts) pairs that must be chosen; None: none."""
        ...

    @property
    def expert_group(self) -> IntArray | None:
        """(num_experts,) each expert's group; None without groups."""
        ...

    @property
    def group_capacity(self) -> IntArray | None:
        """(num_clients, num_groups) most experts per client and group; None without groups."""
        ...

    @property
    def group_demand(self) -> IntArray | None:
        """(num_clients, num_groups) fewest experts per client and group; None without groups."""
        ...

    @property
    def client_names(self) -> Names | None:
        """(num_clients,) names for messages; None: clients have numbers."""
        ...

    @property
    def expert_names(self) -> Names | None:
        """(num_experts,) names for messages; None: experts have numbers."""
        ...

    @property
    def set_names(self) -> Names | None:
        """(num_sets,) names of sets of experts for messages; None: sets have numbers."""
        ...

    @property
    def experts(self) -> ExpertBounds:
        """The experts' bounds and penalties."""
        ...

    @property
    def sets(self) -> ExpertSets | None:
        """The sets of experts with their bounds; None where there are none."""
        ...

    @property
    def integral(self) -> bool:
        """Whether every alignment's objective is a whole number."""
        ...

    def block(self, start: int, stop: int) -> ClientBlock:
        """Rows start..stop-1, ready to compute with."""
        ...

    def blocks(self) -> Iterator[ClientBlock]:
        """All clients, block by block."""
        ...
