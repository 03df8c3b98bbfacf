"""One budget of bytes per client over all layers of a model, for the loops of all adapters.

A device says how much memory it has. What training takes is read from the model's tensors
(:func:`fedtrain.partial.footprint`).
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from alignsolve import Aligner, AlignmentProblem, MemoryBudget, diagnose
from alignsolve.estimate import Budgets
from alignsolve.estimate.limits import missing_for_every_layer
from alignsolve.numerics import FloatArray
from fedtrain.layouts import Layout
from fedtrain.partial import Footprint

NAMED = 3
"""Clients that a message names; of further ones it tells the number."""


def within_memory(aligner: Aligner, layout: Layout, footprint: Footprint, memory: npt.ArrayLike) -> Aligner:
    """Return the aligner with one budget of bytes per client over all layers.

    Parameters
    ----------
    aligner
        The aligner. Its layers become those of the model. If it has a capacity, both limits hold.
    layout
        The layout of the model.
    footprint
        The memory that training takes.
    memory
        Scalar or (num_clients,): bytes that each device can spend on training.

    Raises
    ------
    ValueError
        If a client cannot pay for the experts that it needs in every layer. The message names the client, says how many
        bytes are missing, and what :func:`alignsolve.diagnose` proposes. Also if the aligner has a budget of its own.
    """
    if aligner.budget is not None:
        raise ValueError(f"the aligner has a budget of its own, a {type(aligner.budget).__name__}: give it or memory")
    budget = MemoryBudget(memory, footprint.expert_bytes, footprint.shared_bytes)
    _refuse_small_clients(np.atleast_1d(budget.memory), layout, footprint, aligner.layer_demand)
    layers = layout.layer_sizes if len(layout.layer_sizes) > 1 else aligner.layers
    return replace(aligner, budget=budget, layers=layers)


def needed_memory(layout: Layout, footprint: Footprint, layer_demand: int) -> float:
    """Return the bytes of training the shared part and the cheapest experts that a client needs of every layer."""
    nothing = Budgets(np.zeros(1), footprint.expert_bytes[None, :].astype(np.float64))
    return footprint.shared_bytes + float(missing_for_every_layer(nothing, layout.layer_sizes, layer_demand)[0])


def refuse_other_layers(aligner: Aligner, layout: Layout) -> None:
    """Raise a ValueError if the model has several layers of experts, and the aligner's ``layers`` differ from them."""
    if len(layout.layer_sizes) > 1 and aligner.layers != layout.layer_sizes:
        raise ValueError(
            f"the model has layers of {layout.layer_sizes} experts, and the aligner's layers are {aligner.layers}; "
            f"with Aligner(layers={layout.layer_sizes}) every client gets an expert of each"
        )


def _refuse_small_clients(memory: FloatArray, layout: Layout, footprint: Footprint, layer_demand: int) -> None:
    """Raise an error if a client has too little memory for the shared part and the experts that it needs."""
    needed = needed_memory(layout, footprint, layer_demand)
    cheapest = needed - footprint.shared_bytes
    short = np.flatnonzero(memory < needed)
    if not len(short):
        return
    told = [
        f"client {client} has {memory[client]:,.0f}: {needed - memory[client]:,.0f} are missing"
        for client in short[:NAMED].tolist()
    ]
    told += [f"{len(short) - NAMED} more clients have too little"] if len(short) > NAMED else []
    proposed = _proposals(short[:NAMED].tolist(), memory, layout, footprint, layer_demand)
    raise ValueError(
        f"training takes {needed:,.0f} bytes: {footprint.shared_bytes:,.0f} for the shared part, and {cheapest:,.0f} "
        f"for {layer_demand} of the experts of each of {len(layout.layer_sizes)} layers. {'; '.join(told)}. "
        f"Leave these clients out, or do what diagnose() proposes: {'; '.join(proposed)}"
    )


def refuse_probes(aligner: Aligner) -> None:
    """Refuse an aligner that asks for fresh router masses, in rounds that have no exchange for them.

    Raises
    ------
    ValueError
        If the aligner has ``fresh_masses``.
    """
    if aligner.fresh_masses:
        raise ValueError(
            "fresh_masses is True, and these rounds do not ask clients before they align them: set it to False, or "
            "use fedtrain's own loop or a loop of your own (Server.begin takes the masses)"
        )


def _proposals(
    clients: list[int], memory: FloatArray, layout: Layout, footprint: Footprint, layer_demand: int
) -> list[str]:
    """Return what :func:`alignsolve.diagnose` proposes for clients with too little memory, in words."""
    # The shared part is an expert of its own, so that the budget is the whole memory.
    layers = (1, *layout.layer_sizes)
    problem = AlignmentProblem(
        np.zeros((len(clients), sum(layers))),
        client_capacity=sum(layers),
        expert_group=np.repeat(np.arange(len(layers)), layers),
        group_demand=np.minimum(layers, layer_demand),
        client_budget=memory[clients],
        expert_cost=np.concatenate([[footprint.shared_bytes], footprint.expert_bytes]),
    )
    found = diagnose(problem, weights={"group_demand": np.inf, "client_budget": 1.0})
    changes = [] if found.repair is None else found.repair.changes
    return [
        f"raise the memory of client {clients[change.place[0]]} from {change.before:,.0f} to {change.after:,.0f}"
        for change in changes
    ]
