"""Reading what a client sent: bytes that anyone may have made become an answer, or a reason to refuse it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.federated.answers import CORE_HEAD, HEAD, Answers, Core, num_sums, unpacked
from alignsolve.federated.messages import Ask, Kind
from alignsolve.federated.rows import Moves
from alignsolve.federated.terms import Terms
from alignsolve.numerics import BoolArray


def exchange_of(answer: bytes) -> int:
    """Return the exchange that an answer belongs to; −1 where it is too short to tell."""
    return int(HEAD.unpack_from(answer)[0]) if len(answer) >= HEAD.size else -1


def decode(answer: bytes, ask: Ask, terms: Terms, client: int) -> Answers:
    """Read one client's answer to a question.

    Raises
    ------
    ValueError
        If it cannot be one; client and field are named.
    """
    reader = _Reader(answer, client)
    public = terms.tells == "choices"
    num_edges = len(ask.edges) if ask.kind is Kind.VOTE else 0
    exchange = HEAD.unpack(reader.take(HEAD.size, "exchange"))[0]
    count = 0 if public else terms.num_counts(num_edges)
    counts = unpacked(reader.take(-(-count * terms.digits // 8), "counts"), count, terms)
    sums = reader.array(np.dtype("<u8"), num_sums(terms, ask.kind), "sums")
    held = moves = core = None
    if public:
        bits = reader.array(np.dtype("<u1"), -(-terms.num_experts // 8), "choice")
        held = np.unpackbits(bits)[: terms.num_experts].astype(np.bool_)[None, :]
        moves = _moves(reader, num_edges, terms, held) if num_edges else None
    if ask.kind is Kind.CORE:
        core = _core(reader, float(ask.edges[0]), terms, client)
    if reader.left:
        raise ValueError(f"client {client}: its answer has {reader.left} bytes more than expected")
    return Answers(exchange, np.array([client]), counts, sums, held, moves, core, len(answer))


def added(parts: Sequence[Answers]) -> Answers:
    """Add up the answers of different clients; the order in which they came does not count."""
    parts = sorted(parts, key=lambda part: int(part.clients[0]))
    first = parts[0]
    size = [len(part.clients) for part in parts]
    offset = np.cumsum([0, *size])
    moves = core = None
    if first.moves is not None:
        shifted = [p.moves._replace(row=p.moves.row + at) for p, at in zip(parts, offset, strict=False) if p.moves]
        moves = Moves(*(np.concatenate(column) for column in zip(*shifted, strict=True)))
    if first.core is not None:
        cores = [part.core for part in parts if part.core is not None]
        columns = {name: np.concatenate([getattr(each, name) for each in cores]) for name in Core._fields}
        counted = np.concatenate([np.diff(each.start) for each in cores])
        core = Core(**columns | {"start": np.concatenate([[0], np.cumsum(counted)])})
    return Answers(
        first.exchange,
        np.concatenate([part.clients for part in parts]),
        np.add.reduce([part.counts for part in parts], dtype=first.counts.dtype),
        np.add.reduce([part.sums for part in parts], dtype=np.uint64),
        None if first.held is None else np.concatenate([part.held for part in parts if part.held is not None]),
        moves,
        core,
        sum(part.num_bytes for part in parts),
    )


class _Reader:
    """The bytes of one answer, taken from the front."""

    def __init__(self, answer: bytes, client: int) -> None:
        self.answer, self.client, self.at = answer, client, 0

    @property
    def left(self) -> int:
        return len(self.answer) - self.at

    def take(self, size: int, field: str) -> bytes:
        if self.left < size:
            raise ValueError(
                f"client {self.client}: its answer ends within {field}; {size - self.left} bytes are missing"
            )
        self.at += size
        return self.answer[self.at - size : self.at]

    def array(self, kind: np.dtype[Any], count: int, field: str) -> npt.NDArray[Any]:
        return np.frombuffer(self.take(kind.itemsize * count, field), dtype=kind)


def _moves(reader: _Reader, num_edges: int, terms: Terms, held: BoolArray) -> Moves:
    """Read the moves near by: each gives up an expert that is held, or the ground, for one that is not."""
    each = 2 * terms.label.itemsize + 1
    count, rest = divmod(reader.left, each)
    if rest:
        raise ValueError(f"client {reader.client}: its moves have {reader.left} bytes; each one has {each}")
    leaves = reader.array(terms.label, count, "moves").astype(np.int64)
    enters = reader.array(terms.label, count, "moves").astype(np.int64)
    edge = reader.array(np.dtype("<u1"), count, "moves").astype(np.float64)
    inside = np.append(held[0], True), np.append(~held[0], True)
    if count and max(leaves.max(), enters.max()) > terms.ground:
        raise ValueError(f"client {reader.client}: its moves name an expert that does not exist")
    if not (inside[0][leaves] & inside[1][enters] & (leaves != enters) & (edge < num_edges)).all():
        raise ValueError(f"client {reader.client}: its moves do not lead away from its choice")
    return Moves(np.zeros(count, dtype=np.int64), leaves, enters, edge)


def _core(reader: _Reader, width: float, terms: Terms, client: int) -> Core:
    """Read the reduced losses of one client."""
    count, grounded = CORE_HEAD.unpack(reader.take(CORE_HEAD.size, "core"))
    none = np.zeros(0, dtype=np.int64)
    if not count:
        return Core(none, np.zeros(1, dtype=np.int64), none, none == 1, np.zeros(0), none == 1, none, none)
    labels = reader.array(terms.label, 2 + count, "experts of the core").astype(np.int64)
    expert = labels[2:]
    marks = reader.array(np.dtype("<u1"), count, "choice within the core")
    worth = reader.array(np.dtype("<f8"), count, "worths of the core").astype(np.float64)
    if expert.max() >= terms.num_experts or (np.diff(expert) <= 0).any():
        raise ValueError(f"client {client}: experts of its core must rise and exist; found {expert.tolist()}")
    if (marks > 1).any() or grounded > 1:
        raise ValueError(f"client {client}: the choice within its core is not of bools")
    if not (np.abs(worth) <= 4 * terms.largest).all():
        raise ValueError(f"client {client}: worths of its core are {worth.tolist()}; they must be finite and small")
    held = marks.astype(np.bool_)
    if not grounded and held.any() and not held.all() and worth[held].min() < worth[~held].max():
        raise ValueError(f"client {client}: within its core it holds an expert that is worth less than another one")
    return Core(
        np.array([client]),
        np.array([0, count]),
        expert,
        held,
        worth,
        np.array([bool(grounded)]),
        labels[:1],
        labels[1:2],
    )
