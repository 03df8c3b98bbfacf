"""DIMACS files that express an alignment: assignment (``.asn``) and min-cost-flow (``.min``) problems.

Files of both kinds minimise cost, and every supply and demand must be met exactly. As an alignment, fitness is minus
the cost.

``.asn``: the nodes in ``n`` lines are the clients, and all other nodes are the experts. Every client and every expert
is matched once.

``.min``: nodes with supply are the clients. Their arcs, of capacity 1, lead to the experts; a lower bound of 1 makes
the pair required. An expert keeps its own demand and may send the rest of its flow to one sink. The bounds of that arc
bound the expert's load. A client's arc to the sink carries the client's unused units. A file with anything else, such
as costs on arcs to the sink, is not an alignment. It is refused, and the message names the line.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np

from alignsolve.problem import AlignmentProblem

ASSIGNMENT, FLOW = "asn", "min"
FIELDS = {(ASSIGNMENT, "n"): 1, (ASSIGNMENT, "a"): 3, (FLOW, "n"): 2, (FLOW, "a"): 5}
"""Count of numbers in a line, by kind of problem and kind of line."""


def read(path: str | os.PathLike[str]) -> AlignmentProblem:
    """Read a DIMACS assignment or min-cost-flow file; the ``p`` line decides between the two.

    Clients and experts are numbered in the order of their nodes.

    Raises
    ------
    ValueError
        If the file is not DIMACS, or cannot be expressed as an alignment. The message names the file and the line.
    """
    network = _parse(Path(path))
    if network.kind == ASSIGNMENT:
        return _assignment(network)
    return _flow(network)


@dataclass(frozen=True)
class _Arc:
    line: int
    tail: int
    head: int
    least: int
    most: int
    cost: int


@dataclass
class _Network:
    """The content of a file; every part carries its line number for error messages."""

    path: Path
    kind: str = ""
    header_line: int = 0
    num_nodes: int = 0
    num_arcs: int = 0
    supply: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Node → (supply, line); in an assignment file every client has supply 1."""
    arcs: list[_Arc] = field(default_factory=list)

    def refuse(self, line: int, why: str) -> NoReturn:
        raise ValueError(f"{self.path.name}, line {line}: {why}")

    def supply_of(self, node: int) -> int:
        return self.supply.get(node, (0, 0))[0]


def _parse(path: Path) -> _Network:
    network = _Network(path)
    line = 0
    for line, text in enumerate(_lines(path), start=1):
        letter, *words = text.split() or ["c"]
        if letter == "c":
            continue
        if letter == "p":
            _read_header(network, line, words)
        elif letter in ("n", "a"):
            _read_line(network, line, letter, words)
        else:
            network.refuse(line, f"a line starts with c, p, n or a, not {letter!r}")
    if not network.kind:
        network.refuse(line, "the file ends without a 'p' line; is it a DIMACS file?")
    if len(network.arcs) != network.num_arcs:
        network.refuse(line, f"the file ends after {len(network.arcs)} of {network.num_arcs} arcs; is it truncated?")
    return network


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="ascii", errors="replace") as file:
        yield from file


def _read_header(network: _Network, line: int, words: list[str]) -> None:
    if network.kind:
        network.refuse(line, "a second 'p' line")
    if not words or words[0] not in (ASSIGNMENT, FLOW):
        network.refuse(line, f"problems of kind {words[0] if words else ''!r} are not read, only 'asn' and 'min'")
    network.num_nodes, network.num_arcs = _numbers(network, line, words[1:], 2)
    network.kind, network.header_line = words[0], line


def _read_line(network: _Network, line: int, letter: str, words: list[str]) -> None:
    if not network.kind:
        network.refuse(line, "the 'p' line must come first")
    numbers = _numbers(network, line, words, FIELDS[network.kind, letter])
    nodes = numbers[: 1 if letter == "n" else 2]
    for node in nodes:
        if not 1 <= node <= network.num_nodes:
            network.refuse(line, f"node {node} is not in 1..{network.num_nodes}")
    if letter == "n":
        if numbers[0] in network.supply:
            network.refuse(line, f"node {numbers[0]} was described in line {network.supply[numbers[0]][1]} already")
        network.supply[numbers[0]] = (1 if network.kind == ASSIGNMENT else numbers[1], line)
    elif network.kind == ASSIGNMENT:
        network.arcs.append(_Arc(line, numbers[0], numbers[1], 0, 1, numbers[2]))
    else:
        network.arcs.append(_Arc(line, *numbers))


def _numbers(network: _Network, line: int, words: list[str], count: int) -> list[int]:
    if len(words) != count:
        network.refuse(line, f"{count} numbers are expected here, there are {len(words)}")
    try:
        return [int(word) for word in words]
    except ValueError:
        network.refuse(line, f"whole numbers are expected here, not {' '.join(words)!r}")


def _assignment(network: _Network) -> AlignmentProblem:
    clients = sorted(network.supply)
    experts = sorted(set(range(1, network.num_nodes + 1)) - network.supply.keys())
    for arc in network.arcs:
        if arc.tail not in network.supply or arc.head in network.supply:
            network.refuse(arc.line, f"arc {arc.tail} → {arc.head} does not lead from an 'n' node to another node")
    pairs = _Pairs(network, clients, experts)
    for arc in network.arcs:
        pairs.add(arc)
    return AlignmentProblem(pairs.fitness, client_demand=1, expert_capacity=1, expert_demand=1, eligible=pairs.eligible)


class _Pairs:
    """The matrices over pairs (fitness, eligible, required), filled arc by arc."""

    def __init__(self, network: _Network, clients: list[int], experts: list[int]) -> None:
        if not clients or not experts:
            network.refuse(network.header_line, "there are no clients (nodes with supply) or no experts")
        self.network = network
        self.client = {node: i for i, node in enumerate(clients)}
        self.expert = {node: j for j, node in enumerate(experts)}
        shape = (len(clients), len(experts))
        self.fitness = np.zeros(shape, dtype=np.int64)
        self.eligible = np.zeros(shape, dtype=np.bool_)
        self.required = np.zeros(shape, dtype=np.bool_)

    def add(self, arc: _Arc) -> None:
        pair = self.client[arc.tail], self.expert[arc.head]
        if self.eligible[pair]:
            self.network.refuse(arc.line, f"a second arc {arc.tail} → {arc.head}; a pair is assigned at most once")
        self.eligible[pair] = True
        self.required[pair] = arc.least == 1
        self.fitness[pair] = -arc.cost


def _flow(network: _Network) -> AlignmentProblem:
    # Sort the nodes into clients, experts and the sink.
    _check_balance(network)
    clients = sorted(node for node, (supply, _) in network.supply.items() if supply > 0)
    sink = _find_sink(network, set(clients))
    reached = {arc.head for arc in network.arcs} | {arc.tail for arc in network.arcs}
    demanding = {node for node, (supply, _) in network.supply.items() if supply < 0}
    experts = sorted((reached | demanding) - set(clients) - {sink})
    # Sort the arcs: arcs to the sink give bounds (row 0: least, row 1: most), all others are pairs.
    pairs = _Pairs(network, clients, experts)
    supply = np.array([network.supply_of(node) for node in clients])
    unused = np.zeros((2, len(clients)), dtype=np.int64)
    demand = np.array([-network.supply_of(node) for node in experts])
    onward = np.zeros((2, len(experts)), dtype=np.int64)
    for arc in network.arcs:
        if arc.head == sink:
            _check_free(network, arc)
            totals, at = (unused, pairs.client) if arc.tail in pairs.client else (onward, pairs.expert)
            totals[:, at[arc.tail]] += arc.least, arc.most
        else:
            _check_pair(network, arc, pairs)
            if arc.most:
                pairs.add(arc)
    # A client gets its supply less its unused units. An expert's load is its demand plus its flow to the sink.
    return AlignmentProblem(
        pairs.fitness,
        client_capacity=supply - unused[0],
        client_demand=np.maximum(supply - unused[1], 0),
        expert_capacity=demand + onward[1],
        expert_demand=demand + onward[0],
        eligible=pairs.eligible,
        required=pairs.required if pairs.required.any() else None,
    )


def _check_balance(network: _Network) -> None:
    total = sum(supply for supply, _ in network.supply.values())
    if total:
        line = max(line for _, line in network.supply.values())
        network.refuse(line, f"supplies and demands do not balance: their sum is {total}")


def _find_sink(network: _Network, clients: set[int]) -> int | None:
    """Return the node that experts send flow to; None if there is none."""
    sink = None
    for arc in network.arcs:
        if arc.tail in clients:
            continue
        if sink is not None and arc.head != sink:
            network.refuse(arc.line, f"node {arc.tail} sends to {arc.head}, others to {sink}: more than one sink")
        sink = arc.head
    return sink


def _check_free(network: _Network, arc: _Arc) -> None:
    if arc.cost:
        network.refuse(arc.line, f"arc {arc.tail} → {arc.head} to the sink costs {arc.cost}; only pairs have fitness")
    if not 0 <= arc.least <= arc.most:
        network.refuse(arc.line, f"arc {arc.tail} → {arc.head} carries {arc.least}..{arc.most}, which is no range")


def _check_pair(network: _Network, arc: _Arc, pairs: _Pairs) -> None:
    if arc.tail not in pairs.client or arc.head not in pairs.expert:
        network.refuse(arc.line, f"arc {arc.tail} → {arc.head} does not lead from a client to an expert or to the sink")
    if not 0 <= arc.least <= arc.most <= 1:
        network.refuse(
            arc.line, f"arc {arc.tail} → {arc.head} carries {arc.least}..{arc.most} units; a pair carries 0 or 1"
        )
