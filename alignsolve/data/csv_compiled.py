# mypy: allow-untyped-decorators
"""One pass over the bytes of a large CSV block, compiled: it numbers the names and reads the plain numbers.

A plain number has a sign, digits and at most one point (or comma): its digits are kept as one whole number, with how
many of them stand behind the point. The quotient by a power of ten is then the nearest float, if both are exact floats
(W. Clinger, How to read floating point numbers accurately, PLDI 1990). All other cells are left to Python. Names are
found in a hash table (FNV-1a, open addressing), by their bytes.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import BoolArray, IntArray, fixed
from alignsolve.runtime.jit import kernel, part

EXACT = 1 << 53
"""Whole numbers up to this one are exact floats; so are powers of ten up to the 22nd."""
MOST_DIGITS = 18
"""Digits that a whole number of 64 bits holds in any case."""
WORD, WORDS = 7, 3
"""Bytes in a whole number that cannot become negative, and such words in a slot: what fits is compared there alone."""
LOW, PRIMES, FNV = (1 << 31) - 1, (16777619, 15485863, 12582917, 10000019), 16777619
"""Factors of words of 31 bits (primes of 24 bits: no product is too large), and the prime of FNV-1a with 32 bits."""
SLOTS = 1 << 10
"""Slots of a hash table at first."""
LEFT = -1
"""Places of a cell that Python reads."""


class Scanned(NamedTuple):
    """What one pass finds in a block.

    Attributes
    ----------
    codes
        (num_rows, name columns) which distinct name each cell holds, in the order of the first cells.
    first
        For each name column (distinct names, 2): begin and end of the first cell with that name.
    digits, places
        (num_rows, number columns) all digits as a whole number, and how many stand behind the point; ``LEFT`` where
        Python must read the cell.
    begins
        (num_rows, number columns) where each such cell begins.
    """

    codes: IntArray
    first: list[IntArray]
    digits: IntArray
    places: npt.NDArray[np.int8]
    begins: npt.NDArray[np.int32]


def scan(block: bytes, rows: int, separator: str, is_name: list[bool]) -> Scanned | None:
    """Read a block of lines without quotes; None if a line has more or fewer cells than the header.

    Parameters
    ----------
    block
        Lines that end with a line feed, less than 2 GB.
    rows
        The number of lines.
    separator
        One of comma, semicolon, tab.
    is_name
        For each column whether it holds names.
    """
    data = fixed(np.frombuffer(block, dtype=np.uint8))
    names, numbers = sum(is_name), len(is_name) - sum(is_name)
    codes, first = np.empty((rows, names), np.int64), np.empty((names, rows, 2), np.int64)
    digits, places = np.empty((rows, numbers), np.int64), np.empty((rows, numbers), np.int8)
    begins = np.empty((rows, numbers), np.int32)
    table = np.empty((names, max(SLOTS, 1 << (2 * rows).bit_length()), WORDS + 1), dtype=np.int64)
    table[:, :SLOTS, WORDS] = -1
    known = np.empty((names, rows, WORDS + 1), dtype=np.int64)
    sizes = np.zeros((names, 2), dtype=np.int64)
    sizes[:, 1] = SLOTS
    even = _scan(
        data, ord(separator), fixed(np.array(is_name)), table, known, sizes, codes, first, digits, places, begins
    )
    if not even:
        return None
    return Scanned(codes, [first[k, : sizes[k, 0]] for k in range(names)], digits, places, begins)


@kernel
def _scan(
    data: Any, separator: int, is_name: BoolArray, table: Any, known: Any, sizes: Any, codes: Any, first: Any,
    digits: Any, places: Any, begins: Any,
) -> bool:  # fmt: skip
    at = 0
    for row in range(len(codes)):
        name = number = 0
        for column in range(len(is_name)):
            begin = at
            if is_name[column]:
                words, rest = (0, 0, 0), 0
                while data[at] != separator and data[at] != 10:
                    words, rest = _with_byte(words, rest, at - begin, int(data[at]))
                    at += 1
                codes[row, name] = _code(data, begin, at, words, rest, name, table, known, sizes, first)
                name += 1
            else:
                at = _number(data, at, separator, digits, places, row, number)
                begins[row, number] = begin
                number += 1
            if (data[at] == 10) != (column == len(is_name) - 1):
                return False
            at += 1
    return at == len(data)


@part
def _with_byte(words: Any, rest: Any, place: int, byte: int) -> Any:
    """Put a name's next byte into its words; those that do not fit go into a hash."""
    if place < WORD:
        return (words[0] | byte << 8 * place, words[1], words[2]), rest
    if place < 2 * WORD:
        return (words[0], words[1] | byte << 8 * (place - WORD), words[2]), rest
    if place < WORDS * WORD:
        return (words[0], words[1], words[2] | byte << 8 * (place - 2 * WORD)), rest
    return words, ((rest ^ byte) * FNV) & LOW


@part
def _hash(words: Any, rest: Any) -> Any:
    """Mix the words of a name."""
    value = rest * PRIMES[3]
    value ^= (words[0] & LOW) * PRIMES[0] ^ (words[0] >> 31) * PRIMES[1]
    value ^= (words[1] & LOW) * PRIMES[1] ^ (words[1] >> 31) * PRIMES[2]
    value ^= (words[2] & LOW) * PRIMES[2] ^ (words[2] >> 31) * PRIMES[3]
    value ^= value >> 32
    value = (value & LOW) * PRIMES[3]
    return value ^ value >> 24


@part
def _code(
    data: Any, begin: int, end: int, words: Any, rest: Any, name: int, table: Any, known: Any, sizes: Any, first: Any
) -> Any:
    """Find a name in the hash table, or put it there; ``sizes`` are the number of names and of slots in use.

    ``known`` holds the words of each name, and its hash. A slot holds the words of a name, then its length and its code
    in one number; -1 where it is free.
    """
    value, length = _hash(words, rest), end - begin
    mask = sizes[name, 1] - 1
    slot = value & mask
    while table[name, slot, WORDS] >= 0:
        code, same = table[name, slot, WORDS] & ((1 << 32) - 1), table[name, slot, WORDS] >> 32 == length
        for k in range(WORDS):
            same = same and table[name, slot, k] == words[k]
        if same and (length <= WORDS * WORD or _same(data, first[name, code, 0], begin, length)):
            return np.int64(code)
        slot = (slot + 1) & mask
    code = sizes[name, 0]
    for k in range(WORDS):
        known[name, code, k] = words[k]
    known[name, code, WORDS] = value
    first[name, code, 0], first[name, code, 1] = begin, end
    _put(table, known, first, name, slot, code)
    sizes[name, 0] = code + 1
    if 2 * sizes[name, 0] > sizes[name, 1] and 2 * sizes[name, 1] <= table.shape[1]:
        _grow(name, table, known, sizes, first)
    return np.int64(code)


@part
def _put(table: Any, known: Any, first: Any, name: int, slot: Any, code: Any) -> None:
    """Fill a slot with a known name."""
    for k in range(WORDS):
        table[name, slot, k] = known[name, code, k]
    table[name, slot, WORDS] = (first[name, code, 1] - first[name, code, 0]) << 32 | code


@part
def _same(data: Any, start: int, begin: int, length: int) -> bool:
    """Whether two cells of one length, whose words are alike, have the same bytes."""
    for k in range(WORDS * WORD, length):
        if data[start + k] != data[begin + k]:
            return False
    return True


@part
def _grow(name: int, table: Any, known: Any, sizes: Any, first: Any) -> None:
    """Double the slots in use, so that a table of few names stays in the cache."""
    sizes[name, 1] *= 2
    mask = sizes[name, 1] - 1
    for slot in range(sizes[name, 1]):
        table[name, slot, WORDS] = -1
    for code in range(sizes[name, 0]):
        free = known[name, code, WORDS] & mask
        while table[name, free, WORDS] >= 0:
            free = (free + 1) & mask
        _put(table, known, first, name, free, code)


@part
def _number(data: Any, at: int, separator: int, digits: Any, places: Any, row: int, column: int) -> int:
    """Read a cell; keep its digits and how many stand behind its point, ``LEFT`` if it is no plain number.

    Returns where the cell ends.
    """
    negative = data[at] == 45
    at += negative
    whole, point, seen, plain = 0, -1, 0, True
    while data[at] != separator and data[at] != 10:
        byte = data[at]
        if 48 <= byte <= 57:
            if seen < MOST_DIGITS:
                whole = whole * 10 + int(byte) - 48
            seen += 1
        elif byte in (46, 44) and point < 0:
            point = at
        else:
            plain = False
        at += 1
    behind = 0 if point < 0 else at - point - 1
    plain = plain and 0 < seen <= MOST_DIGITS and not (negative and whole == 0)
    plain = plain and (point < 0 or (behind > 0 and whole <= EXACT))
    digits[row, column] = -whole if negative else whole
    places[row, column] = behind if plain else LEFT
    return at
