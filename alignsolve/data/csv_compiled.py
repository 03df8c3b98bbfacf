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
from alignsolve.runtime.jit import inner, kernel, part

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
    at = np.int64(0)
    for row in range(len(codes)):
        name = number = 0
        for column in range(len(is_name)):
            begin = at
            if is_name[column]:
                # The name's bytes go into three words, and those that do not fit into a hash.
                one = two = three = rest = np.int64(0)
                while data[at] != separator and data[at] != 10:
                    place, byte = at - begin, np.int64(data[at])
                    if place < WORD:
                        one |= byte << 8 * place
                    elif place < 2 * WORD:
                        two |= byte << 8 * (place - WORD)
                    elif place < WORDS * WORD:
                        three |= byte << 8 * (place - 2 * WORD)
                    else:
                        rest = ((rest ^ byte) * FNV) & LOW
                    at += 1
                codes[row, name] = _code(
                    data, begin, at - begin, one, two, three, rest, table[name], known[name], sizes[name], first[name]
                )
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
def _code(
    data: Any, begin: int, length: int, one: int, two: int, three: int, rest: int, table: Any, known: Any, sizes: Any,
    first: Any,
) -> Any:  # fmt: skip
    """Find a name in its column's hash table, or put it there; ``sizes`` are the number of names and of slots in use.

    ``known`` holds the words of each name, and its hash. A slot holds the words of a name, then its length and its code
    in one number; -1 where it is free.
    """
    # Phase 1: mix the words.
    value = rest * PRIMES[3] ^ (one & LOW) * PRIMES[0] ^ (one >> 31) * PRIMES[1]
    value ^= (two & LOW) * PRIMES[1] ^ (two >> 31) * PRIMES[2] ^ (three & LOW) * PRIMES[2] ^ (three >> 31) * PRIMES[3]
    value ^= value >> 32
    value = (value & LOW) * PRIMES[3]
    value ^= value >> 24
    # Phase 2: look where the name would be.
    slot = value & (sizes[1] - 1)
    while table[slot, WORDS] >= 0:
        same = table[slot, 0] == one and table[slot, 1] == two and table[slot, 2] == three
        if same and table[slot, WORDS] >> 32 == length:
            code = table[slot, WORDS] & ((1 << 32) - 1)
            k = WORDS * WORD
            while k < length and data[first[code, 0] + k] == data[begin + k]:
                k += 1
            if k >= length:
                return code
        slot = (slot + 1) & (sizes[1] - 1)
    # Phase 3: it is new.
    code = sizes[0]
    known[code, 0], known[code, 1], known[code, 2], known[code, WORDS] = one, two, three, value
    first[code, 0], first[code, 1] = begin, begin + length
    table[slot, 0], table[slot, 1], table[slot, 2], table[slot, WORDS] = one, two, three, length << 32 | code
    sizes[0] = code + 1
    if 2 * sizes[0] > sizes[1] and 2 * sizes[1] <= len(table):
        _grow(table, known, sizes, first)
    return code


@inner
def _grow(table: Any, known: Any, sizes: Any, first: Any) -> None:
    """Double the slots in use, so that a table of few names stays in the cache."""
    sizes[1] *= 2
    for slot in range(sizes[1]):
        table[slot, WORDS] = -1
    for code in range(sizes[0]):
        free = known[code, WORDS] & (sizes[1] - 1)
        while table[free, WORDS] >= 0:
            free = (free + 1) & (sizes[1] - 1)
        for k in range(WORDS):
            table[free, k] = known[code, k]
        table[free, WORDS] = (first[code, 1] - first[code, 0]) << 32 | code


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
