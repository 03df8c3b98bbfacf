"""Auctions in which clients keep their fitness, against noised fitness sent openly: ``python -m benchmarks.private``.

Each instance is a sequence of rounds: in each one, a tenth of the clients has new fitness. Auctions start from the last
round's prices. The noised fitness is that of the first round: every client sends its row as shares of 1, with the noise
of :class:`~alignsolve.estimate.privacy.Privacy` for one report; "inf" is without noise. All alignments are judged on
the true fitness. A unit beyond a hard bound costs twice the largest optimal price.

The rows are ``benchmarks/results/private.csv``, and ``private-looks.csv`` has every exchange of the first rounds.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, get_args

import numpy as np
import typer

from alignsolve import AlignmentProblem, Privacy, Report, solve
from alignsolve.estimate.privacy import privatize
from alignsolve.federated import Auction, Outcome, Population, Start, Terms, hold_auction
from alignsolve.federated.terms import Tells
from alignsolve.numerics import BoolArray, FloatArray
from benchmarks.kept_rows import write
from problems import FAMILIES

FAMILY_NAMES, NUMBERS, EXPERTS = ("popular", "clustered"), (1000, 10_000), 16
SEEDS, WARM_ROUNDS = 3, 4
CHANGED = 0.1
"""Share of the clients whose fitness changes from round to round."""
EPSILONS = (1.0, 3.0, 10.0, math.inf)
LIMITS = {"loads": (30, 8, 10_000), "choices": (30, 8, 2000), "core": (15, 5, 2000)}
"""Exchanges of a cold and of a warm auction, and bytes per client, at most."""


@dataclass(frozen=True)
class Row:
    """One alignment; ``round`` 0 is cold.

    ``bytes_per_client`` counts both ways. ``gap`` is the distance to the optimum, relative, ``overload`` the units
    beyond hard bounds as a share of all. ``revealing`` and ``revealed``: clients that told reduced losses, as a share
    of all, and numbers that they told, per client.
    """

    family: str
    clients: int
    seed: int
    round: int
    way: str
    exchanges: int
    bytes_per_client: float
    gap: float
    overload: float
    revealing: float
    revealed: float

    @property
    def key(self) -> tuple[str, int, int]:
        """The sequence of rounds that it is of."""
        return self.family, self.clients, self.seed


@dataclass(frozen=True)
class LookRow:
    """One exchange of a cold auction: the choices' distance from the bound, each unit beyond a hard bound charged."""

    family: str
    clients: int
    seed: int
    way: str
    exchange: int
    kind: str
    gap: float
    overload: float


def rounds(family: str, clients: int, seed: int, warm: int = WARM_ROUNDS) -> Iterator[AlignmentProblem]:
    """Yield the problems of a sequence of rounds."""
    problem = FAMILIES[family](np.random.default_rng(seed), num_clients=clients, num_experts=EXPERTS)
    yield problem
    for turn in range(warm):
        rng = np.random.default_rng([seed, turn])
        fitness = np.array(problem.fitness)
        rows = np.flatnonzero(rng.random(clients) < CHANGED)
        if family == "popular":  # the experts' popularity stays
            fitness[rows] = fitness.min(axis=0) + rng.random((len(rows), EXPERTS))
        else:  # a client moves to another one's cluster
            near = rng.normal(scale=0.1, size=(len(rows), EXPERTS))
            fitness[rows] = fitness[rng.integers(clients, size=len(rows))] + near
        problem = replace(problem, fitness=fitness)
        yield problem


def auction_of(problem: AlignmentProblem, tells: Tells, unit: float, start: Start | None) -> tuple[Outcome, BoolArray]:
    """Hold one auction with simulated clients."""
    terms = Terms(problem.num_clients, EXPERTS, tells)
    auction = Auction(
        terms,
        range(problem.num_clients),
        expert_capacity=problem.expert_capacity,
        expert_demand=problem.expert_demand,
        start=start,
        overload_price=unit,
    )
    x = hold_auction(auction, Population(terms, problem))
    return auction.outcome, x


def noised(problem: AlignmentProblem, epsilon: float, seed: int) -> BoolArray:
    """Align by the shares that clients send with noise."""
    fitness = problem.fitness - problem.fitness.min(axis=1, keepdims=True)
    sent: FloatArray = fitness / fitness.sum(axis=1, keepdims=True)
    if math.isfinite(epsilon):
        reports = [Report(i, [], router_mass=row) for i, row in enumerate(fitness)]
        privacy = Privacy(epsilon, release=("router_mass",))
        sent = np.array([each.router_mass for each in privatize(reports, privacy, rng=np.random.default_rng(seed))])
    found = solve(replace(problem, fitness=sent)).x
    assert found is not None
    return found


def judged(problem: AlignmentProblem, x: BoolArray, optimum: float, unit: float) -> tuple[float, float]:
    """Return the relative distance to the optimum on the true fitness, and the overload."""
    loads = x.sum(axis=0).astype(np.float64)
    beyond = np.maximum(loads - problem.expert_capacity, 0.0) + np.maximum(problem.expert_demand - loads, 0.0)
    objective = math.fsum(problem.fitness[x]) - unit * float(beyond.sum())
    return (optimum - objective) / abs(optimum), float(beyond.sum() / loads.sum())


def measured(family: str, clients: int, seed: int, warm: int = WARM_ROUNDS) -> tuple[list[Row], list[LookRow]]:
    """Hold all auctions of a sequence, and align by noised fitness in its first round."""
    rows, looks, starts = [], [], dict.fromkeys(get_args(Tells))
    for turn, problem in enumerate(rounds(family, clients, seed, warm)):
        best = solve(problem)
        assert best.prices is not None
        assert best.objective is not None
        unit = 2.0 * float(np.abs(best.prices).max())
        for tells in get_args(Tells):
            outcome, x = auction_of(problem, tells, unit, starts[tells])
            starts[tells] = outcome.start
            told = [count / clients for count in outcome.revealed]
            gap, overload = judged(problem, x, best.objective, unit)
            sent = outcome.num_bytes / clients
            rows.append(
                Row(family, clients, seed, turn, tells, outcome.exchanges, sent, gap, overload, told[0], told[1])
            )
            if turn == 0:
                looks += [
                    LookRow(family, clients, seed, tells, at, look.kind, look.gap, look.overload)
                    for at, look in enumerate(outcome.looks, 1)
                ]
        for epsilon in EPSILONS if turn == 0 else ():
            gap, overload = judged(problem, noised(problem, epsilon, seed), best.objective, unit)
            rows.append(
                Row(family, clients, seed, turn, f"noised {epsilon:g}", 1, 4.0 * EXPERTS, gap, overload, 1.0, EXPERTS)
            )
    return rows, looks


def table(rows: Sequence[Row]) -> str:
    """Return the worst of each family, size and way, as Markdown."""
    lines = [
        "| family | clients | way | exchanges: cold | warm | bytes per client: cold | warm | gap: worst | overload "
        "| tell losses: cold | warm |",
        "| --- | --: | --- | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for family, clients, way in dict.fromkeys((row.family, row.clients, row.way) for row in rows):
        own = [row for row in rows if (row.family, row.clients, row.way) == (family, clients, way)]
        cold, warm = [row for row in own if row.round == 0], [row for row in own if row.round]
        cells = [f"{family} | {clients:,} | {way}"]
        for field, form in (("exchanges", "d"), ("bytes_per_client", ",.0f")):
            cells += [format(max(getattr(row, field) for row in part), form) if part else "–" for part in (cold, warm)]
        cells += [f"{max(0.0, *(row.gap for row in own)):.1e}", f"{max(row.overload for row in own):.3%}"]
        cells += [f"{max(row.revealing for row in part):.0%}" if part else "–" for part in (cold, warm)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Instances of each family and size.")] = SEEDS,
    keep: Annotated[bool, typer.Option(help="Write the rows to benchmarks/results.")] = True,
) -> None:
    """Hold auctions, compare them with noised fitness, and print the table."""
    rows: list[Row] = []
    looks: list[LookRow] = []
    for family in FAMILY_NAMES:
        for clients in NUMBERS:
            for seed in range(seeds):
                more, seen = measured(family, clients, seed)
                rows, looks = rows + more, looks + seen
    print(table(rows))
    if keep:
        write("private.csv", rows)
        write("private-looks.csv", looks)


if __name__ == "__main__":
    typer.run(main)
