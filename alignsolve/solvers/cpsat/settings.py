"""The settings of CP-SAT: apart from what uses them, so that nothing loads OR-Tools to name them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The settings of CP-SAT: ``gap``, ``workers`` and ``seed`` as in ``CpSat``; whether it simplifies the program."""

    gap: float = 0.0
    workers: int = 1
    seed: int = 0
    presolve: bool = True
