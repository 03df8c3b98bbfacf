"""Finds contenders by name: ours, the peers, and ``package.module:callable``."""

import importlib
from collections.abc import Iterable

from alignsolve import SOLVERS
from benchmarks.contender import Contender
from benchmarks.ours import Ours
from benchmarks.peers import PEERS


def find(name: str, time_limit: float | None = None) -> Contender:
    """Import the contender of that name.

    Parameters
    ----------
    name
        In ``SOLVERS``, in ``PEERS``, or ``package.module:callable`` for a solver of one's own; a class is called
        without arguments to make the solver.
    time_limit
        For our solvers and one's own; peers run until they are done, or killed.

    Raises
    ------
    ValueError
        For an unknown name.
    ImportError
        If the contender's package is not installed.
    """
    if name in SOLVERS:
        return Ours(name, time_limit)
    where = PEERS.get(name, name)
    module, colon, attribute = where.partition(":")
    if not colon:
        raise ValueError(f"unknown contender {name!r}; there are: {', '.join(names())}; or package.module:callable")
    found = getattr(importlib.import_module(module), attribute)
    if name in PEERS:
        contender: Contender = found
        return contender
    return Ours(found() if isinstance(found, type) else found, time_limit)


def names() -> list[str]:
    """Every contender by name, ours first."""
    return [*SOLVERS, *PEERS]


def in_order(given: Iterable[str]) -> list[str]:
    """Sort contenders, each once: ours, peers, then the reader's own."""
    known = {name: place for place, name in enumerate(names())}
    return sorted(set(given), key=lambda name: (known.get(name, len(known)), name))
