"""Tuning by successive halving (Jamieson and Talwalkar, arXiv 1502.07943), the same for every alignment.

All settings of a task run on the first tuning seed, the better half of them on the second too, and the better quarter
on all seeds. The last ones are compared on all seeds. With eight settings and four seeds these are sixteen runs.

The reference is tuned by its final accuracy. The others are tuned by the rounds to the highest target, which the
reference sets on the same seed; of settings that take equally long, the one with the better final figure is taken.
A run that diverged is worse than any other. Language models (:mod:`.olmoe`) are tuned by the final loss.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TypeAlias

from benchmarks.evidence.second.figures import curve_of, final, rounds_to
from benchmarks.evidence.second.plan import Entry, Protocol
from benchmarks.evidence.second.row import Row

Score: TypeAlias = tuple[float, ...]
"""How bad a run is; smaller is better. Compared from the first number on."""
WORST: Score = (math.inf, math.inf)


def stages(num_settings: int, num_seeds: int) -> list[tuple[int, int]]:
    """Return for each stage how many settings are left, and on how many seeds each has run at its end.

    Examples
    --------
    >>> stages(8, 4), stages(4, 4)
    ([(8, 1), (4, 2), (2, 4)], [(4, 1), (2, 2), (1, 4)])
    """
    found, left, seeds = [], num_settings, 1
    while seeds <= num_seeds and left >= 1:
        found.append((left, seeds))
        left, seeds = left // 2, seeds * 2
    return found


class Tuning:
    """What tuning has found so far, and the runs that it still needs.

    Parameters
    ----------
    protocol
        The plan.
    rows
        The rows so far, by key. Rows may be added to it later.
    """

    def __init__(self, protocol: Protocol, rows: Mapping[str, Row]) -> None:
        self.protocol, self.rows = protocol, rows
        self.entry = cache(protocol.entry)
        self._known: dict[tuple[str, str], str] = {}

    def missing(self, task: str, alignment: str) -> list[Entry]:
        """Return the runs without a row of the first stage that lacks any; none if a setting is chosen."""
        if (task, alignment) in self._known:
            return []
        for entries in self._stages(task, alignment):
            missing = [entry for entry in entries if entry.key not in self.rows]
            if missing:
                return missing
        return []

    def chosen(self, task: str, alignment: str) -> str | None:
        """Return the chosen setting; None if runs are missing."""
        about = self.protocol
        task = about.tasks[task].tuned_as or task
        alignment = about.alignments[alignment].tuned_as or alignment
        if (task, alignment) not in self._known:
            needs_reference = alignment != about.reference and self.missing(task, about.reference)
            if needs_reference or self.missing(task, alignment):
                return None
            *_, last = self._left(task, alignment)
            self._known[task, alignment] = last[0]
        return self._known[task, alignment]

    def _stages(self, task: str, alignment: str) -> Iterator[list[Entry]]:
        """Yield the runs of each stage; a stage is known only once the one before has its rows."""
        seeds = self.protocol.tuning_seeds
        names = list(self.protocol.settings(task))
        for (_, number), left in zip(stages(len(names), len(seeds)), self._left(task, alignment), strict=False):
            yield [self.entry(task, alignment, name, seed) for name in left for seed in seeds[:number]]

    def _left(self, task: str, alignment: str) -> Iterator[list[str]]:
        """Yield the settings of each stage, the best first; the last ones are those after all stages."""
        seeds, left = self.protocol.tuning_seeds, list(self.protocol.settings(task))
        for count, number in stages(len(left), len(seeds)):
            left = left[:count]
            yield left
            score: dict[str, Score] = {name: self._score(task, alignment, name, seeds[:number]) for name in left}
            left = sorted(left, key=score.__getitem__)
        yield left

    def _score(self, task: str, alignment: str, setting: str, seeds: Sequence[int]) -> Score:
        """Return how bad a setting is on these seeds, mean by mean."""
        scores = [self._score_of(self.entry(task, alignment, setting, seed)) for seed in seeds]
        return tuple(sum(parts) / len(parts) for parts in zip(*scores, strict=True))

    def _score_of(self, entry: Entry) -> Score:
        row = self.rows[entry.key]
        if row.outcome == "diverged":
            return WORST
        if entry.task.loop != "fedtrain":
            return (row.loss[-1], 0.0)
        if entry.alignment == self.protocol.reference:
            return (-final(row.accuracy), 0.0)
        measure = self.protocol.alignments[entry.alignment].measure
        reference = self.chosen(entry.task.name, self.protocol.reference)
        assert reference is not None  # missing() lists the reference first
        against = self.rows[self.entry(entry.task.name, self.protocol.reference, reference, entry.seed).key]
        target = max(self.protocol.targets) * final(curve_of(against, measure))
        curve = curve_of(row, measure)
        return (rounds_to(curve, target), -final(curve))
