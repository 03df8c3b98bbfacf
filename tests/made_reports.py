"""Reports of made federations whose truth is known: domains, conflict, what routers see, and when data change."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alignsolve import Geometry, Report

NUM_LABELS, WIDTH, SIZE = 6, 8, 40


@dataclass(frozen=True)
class Made:
    """A federation in which client i has domain ``domains[i]``.

    Attributes
    ----------
    domains
        Domain of each client.
    conflict
        Whether domains pull the head and the body in directions of their own; else all pull in the same one.
    visible
        How much more router mass a client puts on expert ``domain mod num_experts``; 0: domains are hidden.
    num_experts
        Number of experts.
    noise
        Standard deviation of the noise in every entry of an update; a domain's own direction has 1.
    """

    domains: Sequence[int]
    conflict: bool = True
    visible: float = 0.0
    num_experts: int = 4
    noise: float = 0.7

    def reports(self, number: int, clients: Sequence[int] | None = None, loss: float = 1.0) -> list[Report]:
        """Return a round's reports of these clients, all by default."""
        chosen = range(len(self.domains)) if clients is None else clients
        return [self.report(client, number, loss) for client in chosen]

    def report(self, client: int, number: int, loss: float = 1.0) -> Report:
        """Return a client's report of a round; its loss wavers by 5 %."""
        own = np.random.default_rng((client, number))
        rng = np.random.default_rng(99 + (self.domains[client] if self.conflict else 0))
        pull = [rng.normal(size=size) for size in ((NUM_LABELS, WIDTH), SIZE)]
        rng = np.random.default_rng(7)
        common = [rng.normal(size=size) for size in ((NUM_LABELS, WIDTH), SIZE)]
        head, body = (
            0.2 * shared + own_pull + self.noise * own.normal(size=shared.shape)
            for shared, own_pull in zip(common, pull, strict=True)
        )
        mass = np.full(self.num_experts, 1.0)
        mass[self.domains[client] % self.num_experts] += self.visible
        mass *= np.exp(0.05 * own.normal(size=self.num_experts))
        return Report(
            client,
            [client % self.num_experts],
            usage=[1.0],
            loss=[loss * np.exp(0.05 * own.normal())],
            accuracy=[0.5],
            num_examples=20,
            router_mass=mass / mass.sum(),
            geometry=Geometry(head, own.random(NUM_LABELS) < 0.8, body),
        )


def purity(names: np.ndarray, domains: Sequence[int]) -> float:
    """Return the share of clients that have the commonest domain of their cluster."""
    truth = np.asarray(domains)
    return sum(np.bincount(truth[names == name]).max() for name in set(names.tolist())) / len(truth)
