"""The claims of docs/protocol.md, and whether the runs support them."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from fedtrain.compare.comparison import Compared
from fedtrain.compare.judge import Comparison, correct
from fedtrain.compare.statistics import Estimate, mean_with_margin

VISIBLE = ("digits-visible", "letters-visible")
BLIND = ("digits-skewed", "text")
"""Tasks on which alignment is expected to gain nothing, and must do no harm."""


class Verdict(NamedTuple):
    """A claim on one task, and its result.

    Attributes
    ----------
    number
        Number of the claim in the protocol.
    task, rival, figure
        Task, rival and figure that are judged; the rival is empty if our own figure is judged.
    seen
        The ratio or difference to the rival, or our own mean, with its interval.
    limit
        The limit of the claim, in words.
    holds
        Whether the value keeps the limit; for claims of no harm, whether the interval does.
    """

    number: int
    task: str
    rival: str
    figure: str
    seen: Estimate
    limit: str
    holds: bool


def verdicts(main: Compared) -> list[Verdict]:
    """Judge all claims of the protocol."""
    found = {(one.task, one.rival, one.figure): one for one in main.comparisons}
    return [*_faster(found), *_balanced(main), *_lighter(found), *_harmless(found)]


Found = dict[tuple[str, str, str], Comparison]


def _faster(found: Found) -> Iterator[Verdict]:
    for task in VISIBLE:
        for rival, near, far in (("random", 0.6, 0.67), ("rolling", 0.6, 0.67), ("flex-moe", 0.75, 0.75)):
            for target, limit in (("90 %", near), ("97 %", far)):
                one = found[task, rival, f"round to {target}"]
                number = 2 if rival == "flex-moe" else 1
                yield _at_most(number, one, f"rounds to {target}", limit)


def _balanced(main: Compared) -> Iterator[Verdict]:
    ours = {one.task: one for one in main.figures if one.alignment == main.plan.ours}
    for task in VISIBLE:
        for name, figure, limit in (
            ("assigned_cv", "variation of load in a round", 0.10),
            ("completed_cv_total", "variation of load over the run", 0.01),
        ):
            middle, margin, p = mean_with_margin(ours[task].levels[name])
            seen = Estimate(middle, middle - margin, middle + margin, p)
            yield Verdict(3, task, "", figure, seen, f"at most {limit:g}", middle <= limit)


def _lighter(found: Found) -> Iterator[Verdict]:
    for task in VISIBLE:
        for target in ("90 %", "97 %"):
            yield _at_most(4, found[task, "random", f"bytes to {target}"], f"bytes to {target}", 0.7)


def _harmless(found: Found) -> Iterator[Verdict]:
    for task in BLIND:
        for target in ("90 %", "97 %"):
            seen = found[task, "random", f"round to {target}"].result
            holds = seen.low <= 1.0
            yield Verdict(5, task, "random", f"rounds to {target}", seen, "interval not above 1", holds)
        seen = found[task, "random", "accuracy"].result
        yield Verdict(5, task, "random", "final accuracy", seen, "interval not below 0", seen.high >= 0.0)


def _at_most(number: int, one: Comparison, figure: str, limit: float) -> Verdict:
    holds = one.result.value <= limit
    return Verdict(number, one.task, one.rival, figure, one.result, f"at most {limit:g}", holds)


def corrected(compared: Sequence[Compared]) -> list[Compared]:
    """Correct the p-values over the comparisons of all plans together, since they are on one page."""
    every = iter(correct([one for each in compared for one in each.comparisons]))
    return [each._replace(comparisons=list(islice(every, len(each.comparisons)))) for each in compared]
