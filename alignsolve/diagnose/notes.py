"""Checks before any solver runs: experts that no client can take, and clients that can take no expert."""

from collections.abc import Iterator

import numpy as np

from alignsolve.data.blocks import ClientBlock
from alignsolve.data.names import Names, named
from alignsolve.numerics import BoolArray, FloatArray, slack
from alignsolve.problem import AlignmentProblem

WHY_EXPERT = (
    "no client is eligible",
    "the cost exceeds every eligible client's budget",
    "the load of every remaining client exceeds the capacity",
)
WHY_CLIENT = (
    "no expert is eligible",
    "every eligible expert costs more than the budget",
    "the load exceeds the capacity of every remaining expert",
)
"""The reasons, in the order in which :func:`_possible` rules pairs out."""


def notes(problem: AlignmentProblem) -> tuple[str, ...]:
    """Return sentences on experts that no client can take and clients that can take no expert, with the reasons."""
    return tuple(_told(problem)) if problem.num_clients and problem.num_experts else ()


def _told(problem: AlignmentProblem) -> Iterator[str]:
    by_expert = np.zeros((len(WHY_EXPERT), problem.num_experts), dtype=np.bool_)
    by_client = np.zeros((len(WHY_CLIENT), problem.num_clients), dtype=np.bool_)
    for block in problem.blocks():
        for stage, possible in enumerate(_possible(block, problem.experts.most)):
            by_expert[stage] |= possible.any(axis=0)
            by_client[stage, block.start : block.stop] = possible.any(axis=1)
    yield from _sentences("expert", "cannot be assigned", WHY_EXPERT, by_expert, problem.expert_names)
    yield from _sentences("client", "can take no expert", WHY_CLIENT, by_client, problem.client_names)


def _possible(block: ClientBlock, most: FloatArray) -> Iterator[BoolArray]:
    """Yield masks of pairs: eligible; of these, within the budget; of these, within the expert's capacity."""
    shape = (block.num_clients, block.num_experts)
    possible = np.ones(shape, dtype=np.bool_) if block.allowed is None else block.allowed
    yield possible
    if block.budget is not None and block.cost is not None:
        budget = block.budget[:, None, :]
        possible = possible & ~(block.cost - budget > slack(budget, block.cost)).any(axis=2)
    yield possible
    load = np.ones(1) if block.load is None else block.load
    with np.errstate(invalid="ignore"):
        yield possible & ~(load - most > slack(most, load))


def _sentences(
    what: str, fate: str, reasons: tuple[str, ...], possible: BoolArray, names: Names | None
) -> Iterator[str]:
    """Yield one sentence for each reason that is the first reason of at least one expert or client."""
    before = np.ones(possible.shape[1], dtype=np.bool_)
    for reason, now in zip(reasons, possible, strict=True):
        shut = before & ~now
        if shut.any():
            yield f"{named(shut, what, names)} {fate}: {reason}"
        before = now
