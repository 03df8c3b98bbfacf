"""Instances of the suite ``sets``: the same problem without sets of experts, with loose ones, and with tight ones.

So the times of the three show what sets cost. The layered instances have all experts of a model, and each layer is on
a server of its own. Its sets are tight.
"""

from dataclasses import replace
from functools import partial

import numpy as np

from alignsolve import AlignmentProblem
from alignsolve.data.expert_sets import SET_BOUNDS
from benchmarks.case import Case
from problems.expert_sets import servers
from problems.family import Make
from problems.layered import layered
from problems.moe_models import MODELS

LOOSE, TIGHT = 0.45, 0.05
"""Room of a server above its planted load; an expert alone may have half as much again."""
LAYER_ROOM = 1.02
"""Load of a layer's server, as a multiple of its share of all places of the clients."""
NO_SETS = dict.fromkeys(("expert_sets", *SET_BOUNDS))
LAYERED = "qwen3-30b-a3b"


def without(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Make the problem of servers without its sets."""
    return replace(servers(rng, num_clients=num_clients, num_experts=num_experts), **NO_SETS)


def loose(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Make servers with much room and without demands."""
    return replace(servers(rng, num_clients=num_clients, num_experts=num_experts, room=LOOSE), set_demand=0)


def on_servers(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Make all layers of a model, each on a server with little more room than its share."""
    problem = layered(rng, num_clients=num_clients, num_experts=num_experts, model=LAYERED)
    share = problem.client_capacity.sum() / problem.num_groups
    needed = problem.group_demand.sum(axis=0)
    return replace(
        problem,
        expert_sets=problem.expert_group,
        set_capacity=np.maximum(np.ceil(LAYER_ROOM * share), needed),
    )


SET_SHAPES: dict[str, Make] = {
    "servers-none": without,
    "servers-loose": loose,
    "servers-tight": partial(servers, room=TIGHT),
    f"{LAYERED}-servers": on_servers,
}


def set_cases() -> tuple[Case, ...]:
    """Return the cases of ``sets``, in order of clients; 64 experts on 8 servers, then all layers of a model."""
    shape = MODELS[LAYERED]
    experts = shape.num_layers * shape.num_experts
    kinds = ("servers-none", "servers-loose", "servers-tight")
    flat = [Case(kind, clients, 64) for clients in (1000, 10_000, 100_000, 1_000_000) for kind in kinds]
    whole = [Case(name, 100, experts, same_shape=True) for name in (LAYERED, f"{LAYERED}-servers")]
    return (*whole, *flat)
