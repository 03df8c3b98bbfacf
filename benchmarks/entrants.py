"""Finds contenders by name: our solvers, the peers, solvers given as ``package.module:callable``, and programs."""

import importlib
from collections.abc import Iterable

from alignsolve import SOLVERS
from benchmarks.contender import Contender
from benchmarks.ours import Ours
from benchmarks.peers import PEERS
from benchmarks.program import MARK, Program


def find(name: str, time_limit: float | None = None) -> Contender:
    """Import the contender of that name.

    Parameters
    ----------
    name
        A name in ``SOLVERS`` or ``PEERS``, or ``package.module:callable`` for a solver of the user's own. A class is
        called without arguments to make the solver. ``program:PATH`` is a program that takes part by files
        (:mod:`benchmarks.program`).
    time_limit
        Seconds, for our solvers and the user's own. Peers run until they are done or killed.

    Raises
    ------
    ValueError
        If the name is unknown, or the program cannot be executed.
    ImportError
        If the contender's package is not installed.
    """
    if name.startswith(MARK):
        return Program(name.removeprefix(MARK), time_limit)
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
    """Return the names of all contenders, our solvers first."""
    return [*SOLVERS, *PEERS]


def in_order(given: Iterable[str]) -> list[str]:
    """Return the distinct contenders in order: our solvers, the peers, then the user's own."""
    known = {name: place for place, name in enumerate(names())}
    return sorted(set(given), key=lambda name: (known.get(name, len(known)), name))
