"""The search for prices: from the sums of one exchange to the question of the next.

1. *Votes.* Clients vote at the present prices. A step of second order (:mod:`.newton`) gives better ones. If the dual
   value did not fall as the model told, the box around the prices shrinks, else it may grow.
2. *A last look.* Once the step has little left to gain, the question at the new prices is a finer one: by edges, how
   far clients are from another choice; or, from clients that waver within a window, their reduced losses there.
3. *Settle.* A rule (:mod:`.rule`) or a shared-out core (:mod:`.share`) says which of these clients move, so that the
   loads fit. The clients confirm it by a last vote. If it falls short of what was asked for, step 1 goes on.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.federated.answers import Answers, Core
from alignsolve.federated.messages import Ask, Kind
from alignsolve.federated.newton import curvature_of, newton_step
from alignsolve.federated.outcome import Look, Outcome, Start, no_slopes
from alignsolve.federated.rows import Moves, cheapest
from alignsolve.federated.rule import find_rule
from alignsolve.federated.share import share_out
from alignsolve.federated.tally import Tally, charged, overload_of
from alignsolve.federated.terms import Terms
from alignsolve.numerics import OPTIMALITY, FloatArray, IntArray, relative_gap

EDGES = (1 / 8, 1 / 4, 1 / 2, 1.0)
"""Edges of the last look, as shares of its window."""
ENOUGH = 20.0
"""Clients near a move of one expert that make a slope: a window takes in so many, or more."""
ACCEPTED, GOOD = 0.05, 0.7
"""A step counts if the bound falls by this share of what was told; above the second share the box doubles."""
SPARE_CLIENTS = 4.0
"""The window of a last look takes in so many clients for each unit that is expected to be out of place."""
WARM_SHARE = 0.05
"""A warm start first looks at this share of the clients."""
CORE_SHARE = 0.1
CORE_CLIENTS = 8
"""A core is asked for once it should have no more than this share of the clients, or so many for each expert."""
SMALLEST_SHARE = 0.02
"""Damping: the curvature of a price is at least this share of the mean."""


@dataclass(frozen=True)
class Goal:
    """When an auction is over, and how it begins.

    Attributes
    ----------
    gap, overload
        Limits of a last exchange.
    most_exchanges
        The last exchange at the latest.
    spread
        How far fitness differs between experts, roughly: the first step's box.
    unit
        What a unit beyond a hard bound is charged; None: twice the largest price in size, or the spread if all are 0.
    most_votes
        With the terms "core": a core is asked for after so many votes in any case.
    """

    gap: float
    overload: float
    most_exchanges: int
    spread: float
    unit: float | None
    most_votes: int


@dataclass
class Search:
    """The state of the search: the best prices so far, and what is being asked."""

    terms: Terms
    bounds: ExpertBounds
    goal: Goal
    num_clients: int
    prices: FloatArray
    slopes: FloatArray
    radius: float
    window: float
    looks: list[Look] = field(default_factory=list)
    best: tuple[float, IntArray, FloatArray] | None = None
    last: tuple[FloatArray, IntArray] | None = None
    fall: float = math.inf
    given: dict[int, IntArray] = field(default_factory=dict)
    told: set[int] = field(default_factory=set)
    told_numbers: int = 0
    failures: int = 0

    @classmethod
    def begin(cls, terms: Terms, bounds: ExpertBounds, goal: Goal, num_clients: int, start: Start | None) -> "Search":
        """Begin from given prices, or from 0."""
        e = terms.num_experts
        if start is None:
            return cls(
                terms,
                bounds,
                goal,
                num_clients,
                _single(terms, bounds, np.zeros(e)),
                no_slopes(e),
                goal.spread,
                goal.spread,
            )
        slopes = start.slopes * num_clients
        mean = max(float(slopes.sum()) / 2, 1e-300)
        window = min(goal.spread, max(WARM_SHARE * num_clients, ENOUGH * e / 2) / mean)
        goal = replace(goal, most_votes=goal.most_votes - 1)
        return cls(terms, bounds, goal, num_clients, _single(terms, bounds, start.prices), slopes, goal.spread, window)

    def first(self) -> Ask:
        """Return the first question."""
        return Ask(Kind.VOTE, 1, self.prices, _edges(self.terms, self.window))

    @property
    def widest(self) -> float:
        """A window that every client is in: no loss exceeds two fitness and two prices."""
        return 4.0 * self.terms.largest

    def unit(self, prices: FloatArray) -> float:
        """Return what a unit beyond a hard bound is charged."""
        twice = 2.0 * float(np.abs(prices).max(initial=0.0))
        return (twice or self.goal.spread) if self.goal.unit is None else self.goal.unit

    def after(self, ask: Ask, answers: Answers, bytes_down: int) -> Ask | None:
        """Take the answers of all clients, and return the next question; None when the auction is over."""
        tally = Tally.of(self.terms, ask, answers)
        unit = self.unit(ask.prices)
        look = tally.look(self.bounds, ask, unit, bytes_down + answers.num_bytes)
        self.looks.append(look)
        self.last = ask.prices, tally.loads
        if ask.kind is not Kind.SETTLE:
            self._learn(ask, tally, look)
        if self._is_done(look) or len(self.looks) >= self.goal.most_exchanges:
            return None
        settle = self._settle(ask, tally, answers, unit) if ask.kind is not Kind.SETTLE else None
        return settle if settle is not None or ask.kind is Kind.CORE else self._next(ask)

    def take_given(self) -> dict[int, IntArray]:
        """Return the experts that the next question gives to single clients, once."""
        given, self.given = self.given, {}
        return given

    def outcome(self, assigned: Alignment | None, clients: IntArray, faults: dict[int, str]) -> Outcome:
        """Return how things stand after the last exchange.

        Raises
        ------
        ValueError
            If no exchange is complete.
        """
        if self.last is None or self.best is None:
            raise ValueError("no exchange of this auction is complete")
        look, (prices, loads) = self.looks[-1], self.last
        return Outcome(
            prices=prices,
            loads=loads,
            bound=look.bound,
            objective=look.objective,
            gap=look.gap,
            overload=look.overload,
            reached=self._is_done(look),
            looks=tuple(self.looks),
            start=Start(prices, self.slopes / self.num_clients),
            assigned=assigned,
            clients=clients,
            faults=dict(faults),
            revealed=(len(self.told), self.told_numbers),
        )

    def _is_done(self, look: Look) -> bool:
        proof = OPTIMALITY if self.terms.tells == "core" else self.goal.gap
        return look.gap <= proof and look.overload <= (0.0 if self.terms.tells == "core" else self.goal.overload)

    def _learn(self, ask: Ask, tally: Tally, look: Look) -> None:
        """Keep the better prices, their loads and slopes; widen or narrow the box."""
        if len(ask.edges) and ask.kind is Kind.VOTE and (tally.pairs.any() or not self.slopes.any()):
            slopes = tally.pairs / (2.0 * float(ask.edges[-1]))
        else:
            slopes = self.slopes
        if self.best is None:
            self.best, self.slopes = (look.bound, tally.loads, ask.prices), slopes
            return
        fell = (self.best[0] - look.bound) / max(self.fall, 1e-300)
        if fell > ACCEPTED or look.bound <= self.best[0]:
            self.best, self.slopes = (look.bound, tally.loads, ask.prices), slopes
            self.radius *= 2.0 if fell > GOOD else 1.0
        else:
            self.radius = float(np.abs(ask.prices - self.best[2]).max()) / 4

    def _next(self, ask: Ask) -> Ask:
        """Step to better prices, and ask there."""
        assert self.best is not None
        bound, loads, here = self.best
        curvature = curvature_of(self.slopes)
        mean = float(np.diag(curvature).mean()) or self.num_clients / self.goal.spread
        there, self.fall = newton_step(self.bounds, here, loads, self.slopes, self.radius, SMALLEST_SHARE * mean)
        there = _single(self.terms, self.bounds, there)
        drift = there - here
        units = float(np.abs(curvature @ drift).sum()) / 2
        exchange = ask.exchange + 1
        if exchange >= self.goal.most_exchanges:
            return Ask(Kind.SETTLE, exchange, here, experts=None)
        window = max(float(np.abs(drift).max()) / 2, ENOUGH / mean)
        pairs = max(float(self.slopes.sum()) / 2, 1e-300)
        last = (SPARE_CLIENTS * units + ENOUGH / 4 * len(here)) / pairs
        if self.terms.tells == "core":
            width = max(last, float(np.abs(drift).max()))
            few = max(CORE_SHARE * self.num_clients, CORE_CLIENTS * len(here))
            if width * pairs <= few or len(self.looks) >= self.goal.most_votes:
                return Ask(Kind.CORE, exchange, there, _edges(self.terms, width))
        elif self.fall <= self.goal.gap * abs(bound) / 4:
            return Ask(Kind.VOTE, exchange, there, _edges(self.terms, *(share * last for share in EDGES)))
        return Ask(Kind.VOTE, exchange, there, _edges(self.terms, window))

    def _settle(self, ask: Ask, tally: Tally, answers: Answers, unit: float) -> Ask | None:
        """Return the question that settles the rest, if the last look tells enough."""
        if tally.near is not None and self.terms.tells == "loads":
            return self._by_rule(ask, tally, tally.near, unit)
        if tally.near is not None and answers.held is not None:
            return self._by_choices(ask, tally, answers, unit)
        if answers.core is not None:
            return self._by_core(ask, tally, answers.core)
        return None

    def _by_rule(self, ask: Ask, tally: Tally, near: IntArray, unit: float) -> Ask | None:
        priced = charged(self.bounds, unit)
        enough = self.goal.gap * abs(self.looks[-1].objective) / 20
        rule = find_rule(priced, ask.prices, tally.loads, near, ask.edges, enough)
        if not self._is_promising(ask, tally, rule.loads, rule.loss, unit):
            return None
        return Ask(Kind.SETTLE, ask.exchange + 1, ask.prices, ask.edges, rule=rule.steps)

    def _by_choices(self, ask: Ask, tally: Tally, answers: Answers, unit: float) -> Ask | None:
        assert answers.moves is not None
        assert answers.held is not None
        core = guessed_core(cheapest(answers.moves), ask.edges, self.terms.num_experts)
        shared = share_out(core, charged(self.bounds, unit), ask.prices, tally.loads)
        if shared is None:
            return None
        loss = float(core.worth[core.held].sum() - core.worth[shared.held].sum())
        if not self._is_promising(ask, tally, shared.loads, loss, unit):
            return None
        row = np.repeat(core.client, np.diff(core.start))
        held = answers.held.copy()
        held[row, core.expert] = shared.held
        changed = np.flatnonzero((held != answers.held).any(axis=1))
        self.given = {int(answers.clients[i]): np.flatnonzero(held[i]) for i in changed}
        return Ask(Kind.SETTLE, ask.exchange + 1, ask.prices)

    def _by_core(self, ask: Ask, tally: Tally, core: Core) -> Ask | None:
        self.told |= set(core.client.tolist())
        self.told_numbers += len(core.expert)
        shared, width = share_out(core, self.bounds, ask.prices, tally.loads), float(ask.edges[0])
        if shared is None or shared.drift > width:
            there = ask.prices if shared is None else _single(self.terms, self.bounds, shared.prices)
            # The better prices have less far to go: the same window once, and then wider ones.
            if shared is None and width >= self.widest:
                return None  # all clients waver, and there is no way: the bounds leave no alignment
            wider = (1.0 if self.failures == 0 else 2.0) if shared is not None else 4.0
            self.failures += 1
            return Ask(Kind.CORE, ask.exchange + 1, there, _edges(self.terms, wider * width))
        parts = zip(core.client, core.start[:-1], core.start[1:], strict=True)
        self.given = {int(i): core.expert[a:b][shared.held[a:b]] for i, a, b in parts}
        return Ask(Kind.SETTLE, ask.exchange + 1, shared.prices)

    def _is_promising(self, ask: Ask, tally: Tally, loads: IntArray, loss: float, unit: float) -> bool:
        """Whether these loads, reached by moves that lose so much, should be within the limits; or time is up."""
        paid = float(ask.prices @ (loads - tally.loads))
        objective = tally.value + paid - loss - float(charged(self.bounds, unit).penalty(loads.astype(float)).sum())
        gap = relative_gap(self.looks[-1].bound, objective)
        within = gap <= self.goal.gap and overload_of(self.bounds, loads) <= self.goal.overload
        return within or ask.exchange + 1 >= self.goal.most_exchanges


def guessed_core(moves: Moves, edges: FloatArray, ground: int) -> Core:
    """Return clients with one move each as a core; its loss is known between two edges, and taken in the middle."""
    level = moves.loss.astype(np.int64)
    loss = (np.append(0.0, edges)[level] + edges[level]) / 2
    stays, goes = moves.leaves < ground, moves.enters < ground
    size = stays.astype(np.int64) + goes
    experts, worths = np.stack([moves.leaves, moves.enters], axis=1), np.stack([loss, np.zeros_like(loss)], axis=1)
    worths[~stays, 1] = -loss[~stays]
    there = np.stack([stays, goes], axis=1)
    grounded = ~(stays & goes)
    return Core(
        moves.row,
        np.append(0, np.cumsum(size)),
        experts[there],
        np.stack([stays, np.zeros_like(goes)], axis=1)[there],
        worths[there],
        grounded,
        (grounded & goes).astype(np.int64),
        (grounded & stays).astype(np.int64),
    )


def _edges(terms: Terms, *widths: float) -> FloatArray:
    """Edges as they are sent: in single precision, and no wider than the widest window."""
    return np.minimum(widths, 4.0 * terms.largest).astype(np.float32).astype(np.float64)


def _single(terms: Terms, bounds: ExpertBounds, prices: FloatArray) -> FloatArray:
    """Prices as they are sent: in single precision, within their box, and no larger than the terms say."""
    single = bounds.project(np.clip(prices, -terms.largest, terms.largest)).astype(np.float32)
    within = bounds.project(single.astype(np.float64))
    inner = np.nextafter(single, np.where(within < single, -np.inf, np.inf).astype(np.float32))
    found: FloatArray = np.where(within == single, single, inner).astype(np.float64)
    return found
