"""Cuts a problem into the parts that nothing couples, and joins their answers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.certificate.tree import ProofTree
from alignsolve.data.alignment import Alignment, as_alignment
from alignsolve.data.names import picked
from alignsolve.data.validation import unspread
from alignsolve.numerics import FloatArray, IntArray, Number
from alignsolve.presolve.components import Part, couples
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solver import Answer, WarmStart

PAIRS = ("fitness", "eligible", "required", "client_load", "expert_cost")
SWITCHING = ("previous", "switching_cost")
CLIENTS = ("client_capacity", "client_demand", "client_budget")
EXPERTS = ("expert_capacity", "expert_demand", "overload_penalty", "shortfall_penalty", "optional_demand")


@dataclass(frozen=True, eq=False)
class Split:
    """A problem and its parts.

    Attributes
    ----------
    whole
        The problem that falls apart.
    parts, problems
        The parts, and a problem for each.
    """

    whole: AlignmentProblem
    parts: tuple[Part, ...]
    problems: tuple[AlignmentProblem, ...]

    @classmethod
    def of(cls, problem: AlignmentProblem, parts: Sequence[Part]) -> "Split":
        """Cut a problem into its parts."""
        return cls(problem, tuple(parts), tuple(cut(problem, part) for part in parts))

    def lower_warm_start(self, warm: WarmStart) -> list[WarmStart]:
        """Return the warm start of each part."""
        return [self._lower(warm, part) for part in self.parts]

    def _lower(self, warm: WarmStart, part: Part) -> WarmStart:
        alignment, prices = warm
        if prices is not None:
            prices = prices[part.experts]
        if alignment is not None:
            client_at = _positions(part.clients, self.whole.num_clients)
            expert_at = _positions(part.experts, self.whole.num_experts)
            clients, experts = client_at[alignment.clients()], expert_at[alignment.experts]
            inside = (clients >= 0) & (experts >= 0)
            alignment = Alignment.from_pairs(clients[inside], experts[inside], len(part.clients))
        return WarmStart(alignment, prices)

    def join(self, answers: Sequence[Answer]) -> Answer:
        """Join the parts' answers; fewer answers than parts are enough if the last one is that there is none.

        The witness of the first part without an alignment is the witness of the whole.
        """
        stats = _joined_stats(answers)
        for part, answer in zip(self.parts, answers, strict=False):
            if is_infeasible(answer):
                witness, tree = self._lift_witness(part, answer), self._lift_tree(part, answer)
                return Answer(witness=witness, tree=tree, infeasible=answer.infeasible, stats=stats)
        try:
            x = self._joined_alignment(answers)
        except ValueError as error:
            x, stats = None, {**stats, "rejected": f"what it returned for a part is not an alignment: {error}"}
        tree = self._joined_tree(answers)
        return Answer(x, self._joined_prices(answers), self._joined_bound(answers), tree=tree, stats=stats)

    def _joined_alignment(self, answers: Sequence[Answer]) -> Alignment | None:
        if any(answer.x is None for answer in answers):
            return None
        clients, experts = [], []
        for part, problem, answer in zip(self.parts, self.problems, answers, strict=True):
            own = as_alignment(answer.x, *problem.shape)
            clients.append(part.clients[own.clients()])
            experts.append(part.experts[own.experts])
        return Alignment.from_pairs(np.concatenate(clients), np.concatenate(experts), self.whole.num_clients)

    def _joined_prices(self, answers: Sequence[Answer]) -> FloatArray | None:
        """Each part's prices; 0 for experts without bounds, and in a part without prices."""
        priced = [usable_prices(problem, answer) for problem, answer in zip(self.problems, answers, strict=True)]
        if all(prices is None for prices in priced):
            return None
        joined = np.zeros(self.whole.num_experts)
        for part, prices in zip(self.parts, priced, strict=True):
            if prices is not None:
                joined[part.experts] = prices
        joined[~couples(self.whole)] = 0.0
        return joined

    def _joined_bound(self, answers: Sequence[Answer]) -> Number:
        """The sum of the parts' bounds; what a part does not claim, its prices show. inf where nobody claims any."""
        if self.whole.class_ is not ProblemClass.GENERAL or all(math.isinf(answer.bound) for answer in answers):
            return math.inf
        bounds: list[Number] = []
        for problem, answer in zip(self.problems, answers, strict=True):
            prices = usable_prices(problem, answer)
            shown = math.isfinite(answer.bound) or prices is None
            bounds.append(answer.bound if shown or prices is None else problem.bound(prices))
        return sum(bounds)

    def _joined_tree(self, answers: Sequence[Answer]) -> ProofTree | None:
        """The parts' trees; prices are a tree of one leaf. None if no part has a tree, or one has neither."""
        if all(answer.tree is None for answer in answers):
            return None
        trees: list[ProofTree] = []
        for problem, answer in zip(self.problems, answers, strict=True):
            prices = usable_prices(problem, answer)
            tree = ProofTree.of_prices(prices) if answer.tree is None and prices is not None else answer.tree
            if tree is None or tree.find_fault(*problem.shape):
                return None
            trees.append(tree)
        clients, experts = [part.clients for part in self.parts], [part.experts for part in self.parts]
        return ProofTree.joined(trees, clients, experts, self.whole.num_experts)

    def _lift_tree(self, part: Part, answer: Answer) -> ProofTree | None:
        """The tree that a part has no alignment, as one of the whole; its other experts are a part of their own."""
        tree, others = answer.tree, np.setdiff1d(np.arange(self.whole.num_experts), part.experts)
        if tree is None or tree.find_fault(len(part.clients), len(part.experts)):
            return None
        rest = ProofTree.of_prices(np.zeros(len(others)))
        nobody = np.zeros(0, dtype=np.int64)
        if not len(others):
            return ProofTree.joined([tree], [part.clients], [part.experts], self.whole.num_experts)
        return ProofTree.joined([tree, rest], [part.clients, nobody], [part.experts, others], self.whole.num_experts)

    def _lift_witness(self, part: Part, answer: Answer) -> Any:
        """The witness with all clients and experts of the whole; the judge adds it up again."""
        witness = answer.witness
        if witness is None or np.shape(witness.experts) != part.experts.shape:
            return None
        experts = np.zeros(self.whole.num_experts, dtype=np.bool_)
        experts[part.experts] = witness.experts
        clients = np.zeros(self.whole.num_clients, dtype=np.bool_)
        clients[part.clients] = witness.clients
        return type(witness)(witness.side, experts, clients, witness.missing)


def is_infeasible(answer: Answer) -> bool:
    """Whether an answer says that there is no alignment."""
    told = answer.infeasible or answer.witness is not None or answer.tree is not None
    return answer.x is None and told


def usable_prices(problem: AlignmentProblem, answer: Answer) -> FloatArray | None:
    """The prices of an answer; None if they are not one finite number per expert."""
    prices = answer.prices
    if prices is None or np.ndim(prices) != 1 or not np.isfinite(prices).all():
        return None
    return prices if len(prices) in {problem.num_experts, problem.num_experts + problem.num_sets} else None


def cut(problem: AlignmentProblem, part: Part) -> AlignmentProblem:
    """Return the problem of one part."""
    clients, experts = part.clients, part.experts
    fields: dict[str, Any] = {}
    for name in EXPERTS:
        values = getattr(problem, name)
        fields[name] = None if values is None else values[experts]
    switching = SWITCHING if problem.has_switching_costs else ()
    for name in (*PAIRS, *switching):
        values = getattr(problem, name)
        fields[name] = None if values is None else _cut_pairs(values, clients, experts)
    for name in CLIENTS:
        values = getattr(problem, name)
        fields[name] = None if values is None else values[clients]
    fields["client_names"] = picked(problem.client_names, clients)
    fields["expert_names"] = picked(problem.expert_names, experts)
    if fields["eligible"] is not None and fields["eligible"].all():
        fields["eligible"] = None
    return AlignmentProblem(**fields | _cut_groups(problem, part))


def _cut_pairs(values: npt.NDArray[Any], clients: IntArray, experts: IntArray) -> npt.NDArray[Any]:
    """Rows and columns of an array of pairs; what is spread over clients or experts stays so."""
    distinct = unspread(values)
    if len(distinct) == len(values):
        distinct = distinct[clients]
    if distinct.shape[1] == values.shape[1]:
        distinct = distinct[:, experts]
    return np.broadcast_to(distinct, (len(clients), len(experts), *values.shape[2:]))


def _cut_groups(problem: AlignmentProblem, part: Part) -> dict[str, Any]:
    """The fields of groups; those of the clients if the part is one group."""
    if problem.expert_group is None:
        return {}
    capacity, demand = problem.group_capacity[part.clients], problem.group_demand[part.clients]
    if part.group is not None:
        own = np.minimum(problem.client_capacity[part.clients], capacity[:, part.group])
        return {"client_capacity": own, "client_demand": demand[:, part.group]}
    present, group = np.unique(problem.expert_group[part.experts], return_inverse=True)
    return {"expert_group": group, "group_capacity": capacity[:, present], "group_demand": demand[:, present]}


def _positions(chosen: IntArray, size: int) -> IntArray:
    """Where each index of ``size`` stands among the chosen ones; −1 for the others."""
    position = np.full(size, -1, dtype=np.int64)
    position[chosen] = np.arange(len(chosen))
    return position


def _joined_stats(answers: Sequence[Answer]) -> dict[str, Any]:
    """Seconds added up, texts that all parts share, why the first one that stopped did so, and the parts' own stats."""
    told = [dict(answer.stats) for answer in answers]
    joined: dict[str, Any] = {}
    for name, value in ((name, value) for stats in told for name, value in stats.items()):
        if name.endswith("_seconds"):
            joined[name] = joined.get(name, 0.0) + value
        elif name == "confirmed_by":
            joined[name] = sorted({*joined.get(name, ()), *value})
        elif name == "stopped" or (isinstance(value, str) and all(stats.get(name) == value for stats in told)):
            joined.setdefault(name, value)
    return {**joined, "parts": told}
