"""Blind baselines under their usual names: the methods that alignment is compared with. Each sees one side only.

``topk``, ``random`` and ``rolling`` see the clients' side. Every row constraint holds; the experts' bounds are
ignored, so that a problem with hard ones is refused (``problem.soften`` gives them prices). ``expert-choice`` sees
the experts' capacities and the clients' limits, but no demands. A baseline that is stopped by a time limit has no
answer: a part of its alignment would break demands, and an alignment of another method would not be its own.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.data.blocks import ClientBlock, small_portions
from alignsolve.numerics import BoolArray, FloatArray, IntArray, slack
from alignsolve.problem import AlignmentProblem, Feature
from alignsolve.runtime.interruptible import late
from alignsolve.solver import CLIENT_SIDE, EVERYTHING, Answer, Capabilities, ProgressHook, WarmStart
from alignsolve.subproblem.dispatch import best_rows

EXPERTS_AND_LIMITS = EVERYTHING - {
    Feature.REQUIRED_PAIRS,
    Feature.CLIENT_DEMANDS,
    Feature.GROUPS,
    Feature.HARD_EXPERT_DEMANDS,
}
"""The features that ``expert-choice`` respects."""


@dataclass(frozen=True)
class TopK:
    """Each client takes its best experts, as if it were alone.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> solve(AlignmentProblem([[3.0, 1.0, 2.0], [2.0, 1.5, -1.0]], client_capacity=2), solver=TopK()).x.tolist()
    [[True, False, True], [True, True, False]]
    """

    capabilities: ClassVar[Capabilities] = Capabilities(takes=CLIENT_SIDE)

    def __call__(
        self,
        problem: AlignmentProblem,
        *,
        deadline: float,
        warm_start: WarmStart,
        seed: int,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> Answer:
        """Solve every row by itself, at prices of zero: optimal if the experts have no bounds."""
        return _answer(problem, problem.blocks(), deadline)


@dataclass(frozen=True)
class Random:
    """Each client fills its capacity with experts drawn at random, whatever their fitness.

    The experts that a client may take get independent uniform numbers, and the client takes the choice with the
    highest sum. Without budgets this is a uniform draw among its largest choices; with budgets it leans towards cheap
    experts.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> solve(AlignmentProblem([[1.0, -1.0, 0.0]] * 4, client_capacity=2), solver=Random(), seed=7).x.sum(axis=1)
    array([2, 2, 2, 2])
    """

    capabilities: ClassVar[Capabilities] = Capabilities(takes=CLIENT_SIDE)

    def __call__(
        self,
        problem: AlignmentProblem,
        *,
        deadline: float,
        warm_start: WarmStart,
        seed: int,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> Answer:
        """Draw row after row from one stream, so that the answer depends neither on blocks nor on threads."""
        rng = np.random.default_rng(seed)
        # 1 − [0, 1) is never 0: an expert worth nothing would not be taken.
        drawn = (block.valued(1.0 - rng.random(block.value.shape)) for block in problem.blocks())
        return _answer(problem, drawn, deadline)


@dataclass(frozen=True)
class Rolling:
    """Client i takes the experts from (round + i) mod num_experts on, until its capacity is full: FedRolex.

    A rolling window over the experts, here staggered by client so that one round reaches all experts (Alam et al.,
    FedRolex, NeurIPS 2022, arXiv 2212.01548). Experts that a row forbids are skipped. Within a budget the window's
    experts are weighted num_experts, num_experts − 1, …, 1, and the choice of largest weight that the budget allows
    is taken.

    Parameters
    ----------
    round
        The round's number, from 0: the window moves on by one each round.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> problem = AlignmentProblem([[1.0, 5.0, 0.0]] * 3, client_capacity=2)
    >>> solve(problem, solver=Rolling(round=1)).x.astype(int).tolist()
    [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    """

    round: int = 0
    capabilities: ClassVar[Capabilities] = Capabilities(takes=CLIENT_SIDE)

    def __post_init__(self) -> None:
        """Refuse a round that is not a whole number, 0 or more."""
        if not isinstance(self.round, int | np.integer) or self.round < 0:
            raise ValueError(f"round is {self.round!r}; it must be a whole number, 0 or more")

    def __call__(
        self,
        problem: AlignmentProblem,
        *,
        deadline: float,
        warm_start: WarmStart,
        seed: int,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> Answer:
        """Turn the window into weights that fall along it, and let every row take the largest sum."""
        return _answer(problem, (block.valued(self._window(block)) for block in problem.blocks()), deadline)

    def _window(self, block: ClientBlock) -> IntArray:
        """The weights of each client's window, (clients, num_experts)."""
        clients, experts = np.arange(block.start, block.stop), np.arange(block.num_experts)
        return block.num_experts - (experts - (self.round + clients[:, None])) % block.num_experts


@dataclass(frozen=True)
class ExpertChoice:
    """Each expert takes its best clients up to its capacity, in one round, without second choices.

    Expert choice routing (Zhou et al., NeurIPS 2022, arXiv 2202.09368) with clients in the place of tokens. In the
    paper a token may be taken by any number of experts; here a client's limits are hard. A client that more experts
    take than it can hold keeps the best choice among them, and the other experts do not look for a replacement. A
    client never keeps an expert of negative fitness. An expert without a capacity takes as many clients as all
    clients could serve, shared evenly: the paper's capacity factor. Soft capacities are taken as hard ones; soft
    demands are ignored.

    It refuses demands of clients, hard demands of experts, required pairs and groups.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> solve(AlignmentProblem([[3.0, 2.0], [2.0, 1.0]], expert_capacity=1), solver=ExpertChoice()).x.tolist()
    [[True, False], [False, False]]
    """

    capabilities: ClassVar[Capabilities] = Capabilities(takes=EXPERTS_AND_LIMITS)

    def __call__(
        self,
        problem: AlignmentProblem,
        *,
        deadline: float,
        warm_start: WarmStart,
        seed: int,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> Answer:
        """Let the experts take clients, then let each client keep its best experts."""
        taken = _taken_by_experts(problem, problem.block(0, problem.num_clients), deadline)
        if taken is None:
            return STOPPED
        return _answer(problem, _restricted(problem, taken), deadline)


def _restricted(problem: AlignmentProblem, allowed: BoolArray) -> Iterator[ClientBlock]:
    """All clients, block after block, with only these pairs allowed."""
    for block in problem.blocks():
        yield replace(block, allowed=allowed[block.start : block.stop])


STOPPED = Answer(stats={"stopped": "time limit"})
"""The answer of a baseline that the time limit stopped."""


def _answer(problem: AlignmentProblem, blocks: Iterable[ClientBlock], deadline: float) -> Answer:
    """Every client's best row, block after block, unless the deadline comes first."""
    clients, experts = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for block in small_portions(blocks):
        if late(deadline):
            return STOPPED
        optima = best_rows(block, np.zeros(problem.num_experts), choose=True)
        assert optima.chosen is not None
        rows, columns = np.nonzero(optima.chosen)
        clients.append(rows + block.start)
        experts.append(columns)
    return Answer(Alignment.from_pairs(np.concatenate(clients), np.concatenate(experts), problem.num_clients))


def _taken_by_experts(problem: AlignmentProblem, block: ClientBlock, deadline: float) -> BoolArray | None:
    """Which clients each expert takes: by descending value, all that still fit; ties go to the lower client.

    None if the deadline came first.
    """
    taken = np.zeros(problem.shape, dtype=np.bool_)
    fair = int(np.minimum(problem.client_capacity, problem.num_experts).sum()) / max(1, problem.num_experts)
    for j in range(problem.num_experts):
        if late(deadline):
            return None
        able = np.arange(problem.num_clients) if block.allowed is None else np.flatnonzero(block.allowed[:, j])
        ranked = able[np.argsort(-block.value[able, j].astype(np.float64), kind="stable")]
        load = np.ones(len(ranked)) if block.load is None else block.load[ranked, j]
        room = float(problem.expert_capacity[j])
        if np.isinf(room):
            room = np.ceil(fair) * (float(load.mean()) if len(load) else 0.0)
        taken[ranked[_first_that_fit(load, room)], j] = True
    return taken


def _first_that_fit(load: FloatArray, room: float) -> BoolArray:
    """Go down the list and take every load that still fits."""
    most = room + 0.5 * float(slack(np.array(room), np.array(room)))
    fits: BoolArray = np.cumsum(load) <= most
    total = float(load[fits].sum())
    for place in np.flatnonzero(~fits) if (load != 1.0).any() else ():
        if total + load[place] <= most:
            fits[place] = True
            total += float(load[place])
    return fits
