"""Alternates contenders in one process, for ratios of times that differences between processes would blur."""

from collections.abc import Iterator

from benchmarks.case import Case
from benchmarks.entrants import find
from benchmarks.instances import make
from benchmarks.trial import Trial, attempt


def alternate(case: Case, missing: dict[str, list[int]]) -> Iterator[tuple[str, int, Trial]]:
    """Run the missing repeats after a warm-up, with the contenders in forward and backward order by turns."""
    problem, sibling = make(case), make(case.warm_up())
    contenders = {name: find(name) for name, repeats in missing.items() if repeats}
    for contender in contenders.values():
        attempt(contender, sibling)
    for repeat in sorted({repeat for repeats in missing.values() for repeat in repeats}):
        order = [name for name in contenders if repeat in missing[name]]
        for name in order if repeat % 2 == 0 else order[::-1]:
            yield name, repeat, attempt(contenders[name], problem)
