"""From the pricing pass's choices and the core's moves to the alignment in compressed rows."""

from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.data.alignment import Alignment
from alignsolve.runtime.jit import inner, kernel
from alignsolve.solvers.price.core import Core, CoreRows
from alignsolve.solvers.price.pricing import Priced

Array = npt.NDArray[Any]


def assemble(chunks: list[Priced], rows: CoreRows, core: Core) -> Alignment:
    """Take every client's choice from the pass, except the core's candidates, which are taken from the core."""
    count = np.concatenate([chunk.number for chunk in chunks])
    expert = np.concatenate([chunk.expert for chunk in chunks])
    pairs = len(expert) + np.count_nonzero(core.held) - np.count_nonzero(rows.held)
    indptr, experts = np.zeros(len(count) + 1, dtype=np.int64), np.empty(pairs, dtype=np.int64)
    _fill(count, expert, rows.client, rows.start, rows.expert, core.held, indptr, experts)
    return Alignment(indptr, experts)


@kernel
def _fill(
    count: Array, chosen: Array, client: Array, start: Array, candidate: Array, held: Array, indptr: Array, out: Array
) -> None:
    """Write every client's experts, ascending, and where they end."""
    at, t = 0, 0
    for i in range(len(count)):
        used = indptr[i]
        in_core = t < len(client) and client[t] == i
        # The pass's choices that are no candidates of the core.
        for c in range(at, at + count[i]):
            wavering = False
            if in_core:
                for b in range(start[t], start[t + 1]):
                    wavering |= candidate[b] == chosen[c]
            if not wavering:
                used = _insert(out, indptr[i], used, chosen[c])
        at += count[i]
        if in_core:
            # The core's candidates that are held.
            for c in range(start[t], start[t + 1]):
                if held[c]:
                    used = _insert(out, indptr[i], used, candidate[c])
            t += 1
        indptr[i + 1] = used


@inner
def _insert(out: Array, begin: int, used: int, expert: int) -> int:
    """Insert into the ascending run out[begin:used]; return its new end."""
    at = used
    while at > begin and out[at - 1] > expert:
        out[at] = out[at - 1]
        at -= 1
    out[at] = expert
    return used + 1
