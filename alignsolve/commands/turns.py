"""The loop of every race: contenders take turns, in forward and backward order, so that noise affects all alike.

``alignsolve bench`` and the benchmarks of the repository share it. How a contender runs, in this process or in one of
its own, and what one attempt measures, is up to its racer.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, Protocol, TypeVar


class Attempt(Protocol):
    """What the loop asks of a measurement."""

    @property
    def outcome(self) -> str:
        """How it ended, in a word."""
        ...

    @property
    def total_seconds(self) -> float:
        """How long it took."""
        ...


Measured = TypeVar("Measured", bound=Attempt)
Result_co = TypeVar("Result_co", bound=Attempt, covariant=True)


class LeftRaceError(Exception, Generic[Measured]):
    """A contender cannot take part, or cannot go on; ``trial`` holds the reason."""

    def __init__(self, trial: Measured, reason: str = "") -> None:
        super().__init__(reason)
        self.trial = trial


class Racer(Protocol[Result_co]):
    """One contender, ready to run."""

    def prepare(self) -> None:
        """Get ready, outside of what is measured; raise LeftRaceError if that is not possible."""
        ...

    def attempt(self) -> Result_co:
        """Run once; raise LeftRaceError if the contender does not survive it."""
        ...

    def close(self) -> None:
        """Give back what the contender holds."""
        ...


def take_turns(
    contenders: Sequence[str],
    missing: Mapping[str, Sequence[int]],
    enter: Callable[[str], Racer[Measured]],
    *,
    gone: Sequence[str] = (),
    once_from: float = math.inf,
) -> Iterator[tuple[str, int, Measured]]:
    """Run the missing repeats; yield (contender, repeat, measurement) one at a time.

    Parameters
    ----------
    contenders
        Names, in the order of the first round; the next round goes backwards, and so on.
    missing
        Contender → repeats to run. A contender that leaves the race gets one row, for its first missing repeat.
    enter
        Makes the racer of a contender.
    gone
        Outcomes after which a contender gets no further repeats.
    once_from
        Seconds from which on one attempt is enough: its contender gets no further repeats.
    """
    racers: dict[str, Racer[Measured]] = {}
    try:
        for name in contenders:
            if not missing.get(name):
                continue
            racers[name] = enter(name)
            try:
                racers[name].prepare()
            except LeftRaceError as left:
                racers.pop(name).close()
                yield name, missing[name][0], left.trial
        for round_, repeat in enumerate(sorted({repeat for repeats in missing.values() for repeat in repeats})):
            order = list(racers) if round_ % 2 == 0 else list(racers)[::-1]
            for name in order:
                if repeat not in missing[name]:
                    continue
                try:
                    trial = racers[name].attempt()
                except LeftRaceError as left:
                    trial = left.trial
                if trial.outcome in gone or trial.total_seconds >= once_from:
                    racers.pop(name).close()
                yield name, repeat, trial
    finally:
        for racer in racers.values():
            racer.close()
