"""Admits one client between two rounds: its best experts at the last prices, among those that have room.

An asynchronous federation has clients that arrive one by one. Solving a round for each of them would take too long and
would move the others. The last prices already say what an expert's place is worth, so one client's own problem at these
prices is enough. Servers that host several experts have room, too: only where the client's choice does not fit into it,
the client's own problem becomes one with sets of experts, and is solved like any other.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np

from alignsolve.data.blocks import ClientBlock
from alignsolve.estimate.deadline import Budgets
from alignsolve.estimate.limits import ClientLimits, client_limits, missing_for_every_layer
from alignsolve.estimate.servers import ServerRooms
from alignsolve.front import solve
from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solution import InfeasibleError, SolveError
from alignsolve.subproblem.dispatch import best_rows
from alignsolve.subproblem.layered_row import layered_row
from alignsolve.subproblem.reduced_fitness import reduced_fitness


class AdmissionError(SolveError):
    """A client cannot be admitted: the message names the client, the layer, and what is missing."""


@dataclass(frozen=True, eq=False)
class Arrival:
    """A client that arrives.

    Attributes
    ----------
    client
        Its index, for messages.
    value
        (1, num_experts) fitness minus the cost of fetching the expert.
    capacity, demand
        (1,) the most and the fewest experts of all layers together.
    budgets
        Budget and costs of the client; None: no budget.
    layers, layer_demand
        Number of experts of each layer, and the fewest of each that the client needs; None: one layer.
    servers
        The room that is left on each server; None: no servers.
    """

    client: int
    value: FloatArray
    capacity: IntArray
    demand: IntArray
    budgets: Budgets | None
    layers: tuple[int, ...] | None
    layer_demand: int
    servers: ServerRooms | None = None

    def choose(self, prices: FloatArray, open_: BoolArray) -> IntArray:
        """Return the client's best experts at these prices, ascending.

        Parameters
        ----------
        prices
            (num_experts,) in fitness.
        open_
            (num_experts,) which experts have room for one more client.

        Raises
        ------
        AdmissionError
            If the client cannot get the experts that it needs.
        """
        if self.servers is not None:
            open_ = open_ & ~self.servers.closed
        # Experts without room cost more than any budget, so the limits count only those with room.
        budgets = None if self.budgets is None else _only(self.budgets, open_)
        capacity = np.minimum(self.capacity, np.count_nonzero(open_))
        self._refuse_full_layers(open_)
        limits = client_limits(
            capacity,
            self.demand,
            len(open_),
            budgets=budgets,
            layers=self.layers,
            layer_demand=self.layer_demand,
        )
        if not limits.capacity.any() and (self.layers is not None or self.demand.any()):
            self._refuse(self._shortage(budgets, len(open_)), open_)
        block = self._block(limits, open_)
        experts = self._best(block, prices, open_)
        if self.servers is None or self.servers.within(experts):
            return experts
        return self._best_within(self.servers, block, prices, open_)

    def _best(self, block: ClientBlock, prices: FloatArray, open_: BoolArray) -> IntArray:
        """Return the best experts, whatever room their servers have."""
        if self.layers is not None and block.budget is None:
            return layered_row(
                reduced_fitness(block, prices)[0],
                open_,
                self.layers,
                layer_demand=self.layer_demand,
                demand=int(block.demand[0]),
                capacity=int(block.capacity[0]),
            )
        chosen = best_rows(block, prices, choose=True).chosen
        assert chosen is not None  # it was asked for
        return np.flatnonzero(chosen[0])

    def _best_within(self, servers: ServerRooms, block: ClientBlock, prices: FloatArray, open_: BoolArray) -> IntArray:
        """Return the best experts within the room of their servers, who meet the client's demand as far as they can."""
        problem = AlignmentProblem(
            reduced_fitness(block, prices),
            client_capacity=block.capacity,
            eligible=block.allowed,
            expert_group=block.group,
            group_demand=block.group_demand,
            client_budget=block.budget,
            expert_cost=block.cost,
            expert_sets=servers.hosts,
            set_capacity=np.maximum(servers.room, 0.0),
        )
        flows = problem.class_ is ProblemClass.CARDINALITY
        solver = "flow" if flows else "auto"  # it need not be compiled, and is the faster one for a single client
        try:
            if block.demand.any():
                most = solve(replace(problem, fitness=np.ones(problem.shape, dtype=np.int64)), solver).objective
                assert most is not None  # solve() raises if there is no alignment
                problem = replace(problem, client_demand=np.minimum(block.demand, int(most)))
            loads = solve(problem, solver).loads
            assert loads is not None  # as above
            return np.flatnonzero(loads)
        except InfeasibleError:
            assert self.layers is not None  # nothing else is demanded for certain
            needed = np.minimum(self.layers, self.layer_demand)
            paid = "" if block.budget is None else ", within its budget"
            why = f"its servers cannot give it the {needed.sum()} experts that it needs in its layers{paid}"
            self._refuse(why, open_)

    def _block(self, limits: ClientLimits, open_: BoolArray) -> ClientBlock:
        """Return the client's own problem."""
        fields = limits.fields
        group, budget = fields.get("expert_group"), fields.get("client_budget")
        return ClientBlock(
            start=0,
            stop=1,
            fitness=self.value,
            value=self.value,
            allowed=open_[None, :],
            required=None,
            load=None,
            capacity=fields["client_capacity"],
            demand=fields["client_demand"],
            group=group,
            group_capacity=None if self.layers is None else np.array([self.layers], dtype=np.int64),
            group_demand=fields.get("group_demand"),
            budget=None if budget is None else budget[:, None],
            # The cost of an expert without room is never read.
            cost=None if budget is None else np.where(open_, fields["expert_cost"], 0.0).reshape(1, -1, 1),
        )

    def _refuse_full_layers(self, open_: BoolArray) -> None:
        """Raise an error if a layer has too few experts with room."""
        if self.layers is None:
            if self.demand.any() and not open_.any():
                self._refuse("no expert has room", open_)
            return
        starts = np.cumsum([0, *self.layers[:-1]], dtype=np.int64)
        rooms = np.add.reduceat(open_, starts, dtype=np.int64)
        needed = np.minimum(self.layers, self.layer_demand)
        k = int(np.argmax(needed - rooms))
        if rooms[k] < needed[k]:
            why = f"layer {k} has room at {rooms[k]} of its experts, and the client needs {needed[k]}"
            self._refuse(why, open_)

    def _shortage(self, budgets: Budgets | None, num_experts: int) -> str:
        """Say what the client lacks: places of its own, or budget."""
        layers = (num_experts,) if self.layers is None else self.layers
        needed = 1 if self.layers is None else int(np.minimum(layers, self.layer_demand).sum())
        if budgets is None or self.capacity[0] < needed:
            return (
                f"it can take {self.capacity[0]} experts, and needs {needed}: {needed - self.capacity[0]} are missing"
            )
        demand = 1 if self.layers is None else self.layer_demand
        missing = float(missing_for_every_layer(budgets, layers, demand)[0])
        spent = _cheapest(budgets.cost[0], layers, demand)
        k = int(np.argmax(spent))
        return (
            f"its budget is {budgets.budget[0]:.12g}, and the cheapest experts with room that it needs cost "
            f"{sum(spent):.12g}, of which layer {k} takes {spent[k]:.12g}: {missing:.12g} are missing"
        )

    def _refuse(self, why: str, open_: BoolArray) -> NoReturn:
        """Raise the error; where servers have too little room, it names them."""
        servers = "" if self.servers is None else self.servers.told(open_)
        raise AdmissionError(f"client {self.client} cannot be admitted: {why}" + f" ({servers})" * bool(servers))


def _only(budgets: Budgets, open_: BoolArray) -> Budgets:
    """Return the budgets with a cost of inf for experts without room, unless all experts cost the same."""
    if budgets.cost.shape[1] == 1:
        return budgets
    return budgets._replace(cost=np.where(open_, budgets.cost[:1], np.inf))


def _cheapest(cost: FloatArray, layers: Sequence[int], demand: int) -> list[float]:
    """Return what the cheapest experts of each layer cost."""
    ends = np.concatenate([[0], np.cumsum(layers)])
    wide = np.broadcast_to(cost, (int(ends[-1]),))
    return [float(np.sort(wide[low:high])[:demand].sum()) for low, high in itertools.pairwise(ends)]
