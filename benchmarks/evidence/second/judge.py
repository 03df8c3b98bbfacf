"""Judges the rows of the second protocol: every run's time to a target, ours against a rival, and Holm's correction.

Runs are paired by seed. A target is a share of the reference's final figure on the same seed. A run that does not reach
it counts with its length, and so does a run that diverged. A claim with a limit has a one-sided p value: the chance of
such a result if the limit were just missed.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from alignsolve.estimate.lift import VERDICTS
from alignsolve.numerics import FloatArray
from benchmarks.evidence.second.figures import amount_to, area, curve_of, final, place, rounds_to
from benchmarks.evidence.second.plan import Protocol, Task
from benchmarks.evidence.second.row import Row
from benchmarks.evidence.second.tuning import Tuning
from fedtrain.compare.statistics import Estimate, Times, holm, mean_with_margin, paired_difference, paired_ratio

Clock = Literal["rounds", "seconds", "bytes"]
CONFLICT = frozenset(VERDICTS)
"""What the aligner says of clients that contradict each other."""
AGREE = "clients agree"


class Seen(NamedTuple):
    """A mean over seeds, of ratios (geometric) or of differences, with its 95 % interval and the number of seeds."""

    value: float
    low: float
    high: float
    number: int

    @classmethod
    def of(cls, estimate: Estimate, number: int) -> "Seen":
        """Take over an estimate."""
        return cls(estimate.value, estimate.low, estimate.high, number)


@dataclass(frozen=True, eq=False)
class Judged:
    """The rows for judging, by task and alignment, in the order of the seeds."""

    protocol: Protocol
    rows: Mapping[tuple[str, str], Sequence[Row]]

    @classmethod
    def of(cls, protocol: Protocol, kept: Mapping[str, Row]) -> "Judged":
        """Choose the rows that the protocol asks for, each alignment with its chosen setting."""
        return cls.by(Tuning(protocol, kept))

    @classmethod
    def by(cls, tuning: Tuning) -> "Judged":
        """Choose the rows as :meth:`of` does, by a tuning whose runs are known already."""
        protocol, kept = tuning.protocol, tuning.rows
        found: dict[tuple[str, str], dict[int, Row]] = {}
        for study in protocol.studies.values():
            for task in study.tasks:
                for alignment in study.alignments:
                    first = next(iter(protocol.settings(task)))
                    setting = tuning.chosen(task, alignment) if study.tuned else first
                    for seed in protocol.seeds(study) if setting is not None else ():
                        row = kept.get(tuning.entry(task, alignment, setting, seed).key)
                        if row is not None:
                            found.setdefault((task, alignment), {})[seed] = row
        return cls(protocol, {pair: [rows[seed] for seed in sorted(rows)] for pair, rows in found.items()})

    def paired(self, task: str, *alignments: str) -> list[list[Row]]:
        """Return the rows of several alignments on the seeds that all of them have, one list per alignment."""
        every = [{row.seed: row for row in self.rows.get((task, name), ())} for name in alignments]
        shared = sorted(set.intersection(*(set(one) for one in every)))
        return [[one[seed] for seed in shared] for one in every]

    def times(self, task: str, alignments: Sequence[str], target: float, clock: Clock, measure: str) -> list[Times]:
        """Return the times of several alignments to a target, on the seeds that they and the reference share."""
        reference, *every = self.paired(task, self.protocol.reference, *alignments)
        about = self.protocol.tasks[task]
        goals = [target * final(curve_of(row, measure)) for row in reference]
        return [
            Times(
                np.array([_time(row, goal, clock, measure, about) for row, goal in zip(rows, goals, strict=True)]),
                np.array([_reached(row, goal, measure, about) for row, goal in zip(rows, goals, strict=True)], bool),
            )
            for rows in every
        ]

    def ratio(
        self, task: str, ours: str, rival: str, target: float, clock: Clock = "rounds", measure: str = "accuracy"
    ) -> Seen:
        """Return the ratio of ours to a rival's times."""
        mine, theirs = self.times(task, (ours, rival), target, clock, measure)
        return Seen.of(paired_ratio(mine.restricted, theirs.restricted), len(mine.restricted))

    def difference(self, task: str, ours: str, rival: str, level: str) -> Seen:
        """Return the difference of ours and a rival in a level (:func:`levels`)."""
        mine, theirs = (levels(rows)[level] for rows in self.paired(task, ours, rival))
        return Seen.of(paired_difference(mine, theirs), len(mine))

    def mean(self, task: str, alignment: str, level: str) -> Seen:
        """Return the mean of a level with its interval."""
        values = levels(self.rows[task, alignment])[level]
        middle, margin, _ = mean_with_margin(values)
        return Seen(middle, middle - margin, middle + margin, len(values))

    def fastest(self, task: str, rivals: Iterable[str], target: float) -> str:
        """Return the rival with the fewest mean rounds to a target."""
        known = [name for name in rivals if (task, name) in self.rows]
        return min(known, key=lambda name: self.times(task, (name,), target, "rounds", "accuracy")[0].mean)

    def best(self, task: str, rivals: Iterable[str], level: str) -> str:
        """Return the rival with the highest mean of a level."""
        known = [name for name in rivals if (task, name) in self.rows]
        return max(known, key=lambda name: float(levels(self.rows[task, name])[level].mean()))

    def verdicts(self, tasks: Iterable[str], alignment: str) -> tuple[int, int]:
        """Return how many runs had the right verdict after round 5, and how many there are."""
        runs = [
            (row, self.protocol.tasks[task].conflict) for task in tasks for row in self.rows.get((task, alignment), ())
        ]
        return sum(said_rightly(row.verdict_5, conflict=conflict) for row, conflict in runs), len(runs)


def levels(rows: Sequence[Row]) -> dict[str, FloatArray]:
    """Return figures that are no times, by name, (num_rows,) each; accuracies of a run that diverged are 0."""
    failed = np.array([row.outcome != "finished" for row in rows])
    accuracies = {
        "accuracy": [final(row.accuracy) for row in rows],
        "personal": [final(row.personal) for row in rows],
        "worst": [final(row.worst) for row in rows],
        "area": [area(row.accuracy) for row in rows],
    }
    return {
        **{name: np.where(failed, 0.0, values) for name, values in accuracies.items()},
        "assigned_cv": np.array([row.assigned_cv for row in rows]),
        "completed_cv": np.array([row.completed_cv for row in rows]),
        "probe_bytes": np.array([float(row.probe_bytes) for row in rows]),
    }


def own_loss_at(row: Row, amount: float) -> float:
    """Return the last measured personal figure before so many bytes were sent; the first one if there is none.

    A run that diverged counts with the largest loss of its whole model that is a number.
    """
    if row.outcome != "finished":
        return max((loss for loss in row.loss if math.isfinite(loss)), default=math.inf)
    known = [(sent, value) for sent, value in zip(row.bytes, row.personal, strict=True) if not math.isnan(value)]
    within = [value for sent, value in known if sent <= amount]
    return within[-1] if within else known[0][1]


def sent_by(row: Row, rounds: int) -> float:
    """Return the bytes of a whole run; one that diverged would have sent on as in its rounds so far."""
    return row.bytes[-1] if row.outcome == "finished" else row.bytes[-1] / len(row.bytes) * rounds


def said_rightly(verdict: str, *, conflict: bool) -> bool:
    """Whether a verdict is right; one that is still being looked for is not."""
    return verdict in CONFLICT if conflict else verdict == AGREE


class Claim(NamedTuple):
    """A claim of the protocol and what was seen.

    Attributes
    ----------
    number
        Its number on the page.
    about
        Task, rival and figure, in words.
    seen
        The ratio, difference or mean, with its interval.
    limit
        The limit; seen must be below it, or above it.
    below
        Whether seen must be below the limit.
    point
        Whether the estimate itself is judged, and not the worse end of its interval.
    p
        One-sided p value against the limit, corrected by :func:`corrected`; NaN for a claim as a point.
    """

    number: int
    about: str
    seen: Seen
    limit: float
    below: bool
    point: bool
    p: float

    @property
    def holds(self) -> bool:
        """Whether the claim holds."""
        if self.point:
            return self.seen.value <= self.limit if self.below else self.seen.value >= self.limit
        return self.seen.high <= self.limit if self.below else self.seen.low >= self.limit


def claim(
    number: int, about: str, seen: Seen, limit: float, *, below: bool, point: bool = False, ratio: bool = False
) -> Claim:
    """Return a claim with its p value, not yet corrected; ``ratio`` tells that the interval is one of logarithms."""
    p = math.nan if point else _p_against(seen, limit, below=below, ratio=ratio)
    return Claim(number, about, seen, limit, below, point, p)


def corrected(claims: Sequence[Claim]) -> list[Claim]:
    """Correct the p values of all claims together by Holm's method; claims as a point have none."""
    return [one._replace(p=p) for one, p in zip(claims, holm([one.p for one in claims]), strict=True)]


def _p_against(seen: Seen, limit: float, *, below: bool, ratio: bool) -> float:
    """Return the one-sided p value by Student's t, from the 95 % interval; NaN with fewer than two seeds."""
    from scipy import stats  # noqa: PLC0415  (half a second to import, and only reports need it)

    value, low, end = (math.log(part) if ratio else part for part in (seen.value, seen.low, limit))
    if math.isnan(low) or seen.number < 2:
        return math.nan
    error = (value - low) / float(stats.t.ppf(0.975, seen.number - 1))
    if error == 0.0:
        return float(value > end if below else value < end)
    t = (end - value if below else value - end) / error
    return float(stats.t.sf(t, seen.number - 1))


def _time(row: Row, goal: float, clock: Clock, measure: str, task: Task) -> float:
    """Return a run's time to its target, counted from the drift on if the task has one."""
    after, amounts = task.drift_at, row.seconds if clock == "seconds" else row.bytes
    if row.outcome != "finished":  # it ended early: it counts as if it had gone on to the end without success
        left = task.rounds - after
        return float(left) if clock == "rounds" else amounts[-1] / len(amounts) * left
    curve = curve_of(row, measure)
    return rounds_to(curve, goal, after=after) if clock == "rounds" else amount_to(curve, amounts, goal, after=after)


def _reached(row: Row, goal: float, measure: str, task: Task) -> bool:
    return row.outcome == "finished" and place(curve_of(row, measure)[task.drift_at :], goal) is not None
