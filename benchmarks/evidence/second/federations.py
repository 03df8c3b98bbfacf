"""The federation of a run: fedtrain's own, with devices from the distribution, and clients that change their domain.

Nothing of fedtrain is changed: a federation is a value, and parts of it are replaced. So its own round runs all tasks.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from alignsolve import Aligner
from alignsolve.numerics import IntArray
from benchmarks.evidence.second.devices import Pool, with_devices
from fedtrain.config import RunConfig
from fedtrain.data import Federated
from fedtrain.randomness import Purpose, generator
from fedtrain.server.alignment import make_aligner
from fedtrain.server.federation import Federation, prepare
from fedtrain.simulation.devices import Fleet

MOVED = 0.5
"""Share of the clients that change their domain where a task drifts."""


def federation_of(config: RunConfig, changes: Mapping[str, Any], pool: Pool | None = None) -> Federation:
    """Return the federation of a configuration, with devices from the distribution.

    Parameters
    ----------
    config
        The run. Its tiers of devices are not used.
    changes
        Parameters of the aligner to replace, by their path (:func:`varied`); none: the policy as it is.
    pool
        Real devices and links to draw from; None: the distribution.
    """
    federation = prepare(config)
    fleet = with_devices(federation, pool)
    aligner = _aligner(federation, federation.data, fleet, changes)
    start = aligner.init(fleet.num_joined(0), federation.spec.num_experts, seed=config.seed)
    server = replace(federation.server, aligner=aligner)
    return replace(federation, fleet=fleet, server=server, aligner_start=start)


def drifted(federation: Federation, changes: Mapping[str, Any]) -> Federation:
    """Return the federation after half of its clients have taken each other's examples.

    Devices stay with their clients, and the test set stays; only who has which examples changes. An oracle follows: it
    is made anew from the new mixtures. All other aligners are the same, and find out by themselves.
    """
    order = moved(federation.config.seed, len(federation.clients))
    data = federation.data
    changed = replace(
        data,
        clients=tuple(data.clients[k] for k in order),
        mixture=data.mixture[order],
        concepts=None if data.concepts is None else data.concepts[order],
    )
    aligner = _aligner(federation, changed, federation.fleet, changes)
    return replace(
        federation,
        data=changed,
        clients=tuple(federation.clients[k] for k in order),
        label_counts=federation.label_counts[order],
        server=replace(federation.server, aligner=aligner),
    )


def moved(seed: int, num_clients: int) -> IntArray:
    """Return whose examples each client has after the drift, (num_clients,): a ring of the clients that move.

    The ring is drawn from the seed.
    """
    chosen = generator(seed, Purpose.SUBSET).permutation(num_clients)[: round(MOVED * num_clients)]
    order = np.arange(num_clients)
    order[chosen] = np.roll(chosen, 1)
    return order


def varied(value: Any, path: str, new: Any) -> Any:
    """Return a copy of nested dataclasses in which the parameter at a path has another value.

    Raises
    ------
    ValueError
        If there is no such parameter; the message names the part of the path.

    Examples
    --------
    >>> from alignsolve import POLICIES, Parts
    >>> ours = POLICIES["ours"](Parts(), goal="global")
    >>> varied(ours, "fitness.gate.threshold", 0.15).fitness.gate.threshold
    0.15
    """
    name, _, rest = path.partition(".")
    if name not in getattr(value, "__dataclass_fields__", ()):
        raise ValueError(f"{type(value).__name__} has no parameter {name!r} (path {path!r})")
    return replace(value, **{name: varied(getattr(value, name), rest, new) if rest else new})


def _aligner(federation: Federation, data: Federated, fleet: Fleet, changes: Mapping[str, Any]) -> Aligner:
    num_examples = np.array([len(examples) for examples in data.clients])
    aligner = make_aligner(
        federation.config, federation.spec, fleet, federation.footprint, num_examples, _domains(data)
    )
    for path, new in changes.items():
        aligner = varied(aligner, path, new)
    return aligner


def _domains(data: Federated) -> Any:
    """Return the true shares of domains where the data have domains, and of test groups otherwise."""
    return data.mixture if data.concepts is None else data.concepts / data.concepts.sum(axis=1, keepdims=True)
