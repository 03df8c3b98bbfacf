"""The few largest numbers of a row, found eight at a time: for compiled code.

Entry j of a row lies in lane j modulo 8. The k-th largest of the eight lanes' maxima is no larger than the k-th largest
of the row, and rarely much less: what is not below it holds the row's best k and little else. :func:`lane_tops` finds
that level, :func:`mark` the entries that are not below it, as bits, :func:`listed` reads the bits.

Compilers do not find these vector instructions by themselves, so they are written out in LLVM. Beside each stands its
meaning in Python, which is used where numba's compiler is switched off.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from alignsolve.runtime.jit import within

Array = npt.NDArray[Any]
Typed: Any = Callable[..., Any]

LANES = 8
WORD = 64
"""Bits of a word: each marks one entry of a row."""
BATCH = 8
"""Rows that are read and marked before any is searched, so that reading does not wait for mispredicted branches."""
NETWORK = (
    ((0, 2), (1, 3), (4, 6), (5, 7)),
    ((0, 4), (1, 5), (2, 6), (3, 7)),
    ((0, 1), (2, 3), (4, 5), (6, 7)),
    ((2, 4), (3, 5)),
    ((1, 4), (3, 6)),
    ((1, 2), (3, 4), (5, 6)),
)
"""Exchanges, layer by layer, that sort eight numbers: the least possible 19, in the least possible 6 layers (D. Knuth,
The Art of Computer Programming 3, section 5.3.4)."""
BIT = ir.IntType(64)
ONE = np.uint64(1)


class Desk(NamedTuple):
    """Room in which a batch of rows is read, marked and searched.

    Attributes
    ----------
    rows
        (BATCH, entries, and padding up to whole lanes); the padding is shut.
    marks
        (BATCH, words) uint64: which entries of a row may be among its best.
    enough
        (BATCH,) int64: how many of the marked entries must be listed.
    likely, best
        At least as long as a row: the entries listed, and the best of them in order.
    tops
        (LANES,) the largest of each lane.
    """

    rows: Array
    marks: Array
    enough: Array
    likely: Array
    best: Array
    tops: Array


def desk(length: int, kind: npt.DTypeLike, shut: Any) -> Desk:
    """Make room for a batch of rows of a length."""
    return Desk(
        rows=np.full((BATCH, -(-length // LANES) * LANES), shut, dtype=kind),
        marks=np.zeros((BATCH, -(-length // WORD)), dtype=np.uint64),
        enough=np.zeros(BATCH, dtype=np.int64),
        likely=np.zeros(length + LANES, dtype=np.int32),
        best=np.zeros(length + LANES, dtype=kind),
        tops=np.zeros(LANES, dtype=kind),
    )


def _meaning(plain: Callable[..., Any]) -> Callable[[Typed], Any]:
    """Make an instruction of a function that types and builds it; without the compiler its Python meaning is used."""
    return lambda built: plain if numba.config.DISABLE_JIT else intrinsic(built)


def _tops(row: Array, tops: Array) -> None:
    tops[:] = np.sort(row.reshape(-1, LANES).max(axis=0))[::-1]


@_meaning(_tops)
def lane_tops(_: Any, row: Any, tops: Any) -> Any:
    """``lane_tops(row, tops)``: the maxima of a row's lanes, largest first; the row is some whole lanes long."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(row)(context, builder, arguments[0])
        highest = cgutils.alloca_once(builder, _vector(context, row))
        builder.store(_load(context, builder, row, arguments[0], BIT(0)), highest)
        length = cgutils.unpack_tuple(builder, array.shape, 1)[0]
        with cgutils.for_range_slice(builder, BIT(LANES), length, BIT(LANES), inc=True) as (at, _):
            entries, so_far = _load(context, builder, row, arguments[0], at), builder.load(highest)
            builder.store(builder.select(_compare(builder, ">", row, entries, so_far), entries, so_far), highest)
        _store(context, builder, tops, arguments[1], _sorted(builder, row, builder.load(highest)))
        return context.get_dummy_value()

    return types.void(row, tops), build


def _descending(values: Array) -> None:
    values[:LANES] = np.sort(values[:LANES])[::-1]


@_meaning(_descending)
def sort_eight(_: Any, values: Any) -> Any:
    """``sort_eight(values)``: put the first eight entries in order, largest first.

    One by one, for they have just been written one by one: a vector would have to wait for that.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(values)(context, builder, arguments[0]).data
        places = [builder.gep(data, [BIT(k)]) for k in range(LANES)]
        entries = [builder.load(place) for place in places]
        for high, low in itertools.chain(*NETWORK):
            one, other = entries[high], entries[low]
            larger = _compare(builder, ">", values, one, other)
            entries[high], entries[low] = builder.select(larger, one, other), builder.select(larger, other, one)
        for entry, place in zip(entries, places, strict=True):
            builder.store(entry, place)
        return context.get_dummy_value()

    return types.void(values), build


def _bits(row: Array, at: int, least: Any) -> np.uint64:
    return np.uint64(sum(int(entry >= least) << k for k, entry in enumerate(row[at : at + LANES])))


@_meaning(_bits)
def eight_bits(_: Any, row: Any, at: Any, least: Any) -> Any:
    """``eight_bits(row, at, least) -> uint64``: which of the entries at..at + 7 are no less than a level."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        entries = _load(context, builder, row, arguments[0], arguments[1])
        level = ir.Constant(entries.type, ir.Undefined)
        level = builder.insert_element(level, arguments[2], ir.IntType(32)(0))
        level = builder.shuffle_vector(level, level, _pattern([0] * LANES))
        bits = builder.bitcast(_compare(builder, ">=", row, entries, level), ir.IntType(LANES))
        return builder.zext(bits, BIT)

    return types.uint64(row, types.int64, row.dtype), build


@_meaning(lambda word: int(word).bit_count())
def number_of_bits(_: Any, word: Any) -> Any:
    """``number_of_bits(word) -> int64``: how many entries are marked."""
    return types.int64(types.uint64), lambda context, builder, signature, arguments: builder.ctpop(arguments[0])


@_meaning(lambda word: (int(word) & -int(word)).bit_length() - 1)
def lowest_bit(_: Any, word: Any) -> Any:
    """``lowest_bit(word) -> int64``: the first entry that is marked, of a word that is not 0."""
    return types.int64(types.uint64), lambda context, builder, signature, arguments: builder.cttz(
        arguments[0], ir.IntType(1)(1)
    )


def _vector(context: Any, array: Any) -> Any:
    return ir.VectorType(context.get_value_type(array.dtype), LANES)


def _load(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    pointer = _pointer(context, builder, kind, array, at)
    return builder.load(pointer, align=kind.dtype.bitwidth // 8)


def _store(context: Any, builder: Any, kind: Any, array: Any, eight: Any) -> None:
    builder.store(eight, _pointer(context, builder, kind, array, BIT(0)), align=kind.dtype.bitwidth // 8)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    """Where eight entries of a contiguous array lie."""
    first = builder.gep(context.make_array(kind)(context, builder, array).data, [at])
    return builder.bitcast(first, _vector(context, kind).as_pointer())


def _compare(builder: Any, sign: str, kind: Any, left: Any, right: Any) -> Any:
    if isinstance(kind.dtype, types.Float):
        return builder.fcmp_ordered(sign, left, right)
    return builder.icmp_signed(sign, left, right)


def _pattern(lanes: list[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), LANES), lanes)


def _sorted(builder: Any, kind: Any, eight: Any) -> Any:
    """Exchange the lanes of a vector until the largest comes first."""
    for layer in NETWORK:
        partner, result = list(range(LANES)), list(range(LANES))
        for high, low in layer:
            partner[high], partner[low], result[low] = low, high, LANES + low
        other = builder.shuffle_vector(eight, eight, _pattern(partner))
        larger = _compare(builder, ">", kind, eight, other)
        high, low = builder.select(larger, eight, other), builder.select(larger, other, eight)
        eight = builder.shuffle_vector(high, low, _pattern(result))
    return eight


@within
def mark(row: Array, least: Any, words: Array) -> int:
    """Set the bits of the entries no less than a level, return their number; the row is some whole lanes long."""
    number = 0
    for w in range(len(words)):
        word = np.uint64(0)
        for at in range(w * WORD, min(w * WORD + WORD, len(row)), LANES):
            word |= eight_bits(row, at, least) << np.uint64(at - w * WORD)
        words[w] = word
        number += number_of_bits(word)
    return number


@within
def listed(words: Array, length: int, begin: int, most: int, found: Array) -> int:
    """List the marked ones of the first ``length`` entries, up to so many, roughly in the order from ``begin`` on.

    The words are read in turn, from the one that holds entry ``begin``; only that word is entered at an inner bit.
    """
    number = 0
    w = begin // WORD
    turn = begin - w * WORD
    for _ in range(len(words)):
        bits = min(length - w * WORD, WORD)
        word = words[w] >> np.uint64(turn) | words[w] << np.uint64((bits - turn) % WORD)
        if bits < WORD:
            word &= (ONE << np.uint64(bits)) - ONE
        for t in range(number, min(number + number_of_bits(word), most)):
            at = lowest_bit(word) + turn
            found[t] = w * WORD + (at if at < bits else at - bits)
            word &= word - ONE
            number += 1
        w = w + 1 if w + 1 < len(words) else 0
        turn = 0
    return number


@within
def best_of(row: Array, likely: Array, number: int, most: int, shut: Any, best: Array) -> int:
    """Sort the best of the entries listed, ``most`` of them or all if they are fewer; return how many."""
    if number <= LANES:
        for t in range(LANES):
            best[t] = row[likely[t]] if t < number else shut
        sort_eight(best)
        return min(number, max(most, 0))
    kept = 0
    for t in range(number if most > 0 else 0):
        entry = row[likely[t]]
        if kept >= most and not entry > best[most - 1]:
            continue
        rank = min(kept, most - 1)
        while rank > 0 and entry > best[rank - 1]:
            best[rank] = best[rank - 1]
            rank -= 1
        best[rank] = entry
        kept = min(kept + 1, most)
    return kept
