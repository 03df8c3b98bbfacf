"""Tables of standings: times side by side, ratios, memory, gaps, growth, and contenders without an answer."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alignsolve.numerics import OPTIMALITY
from benchmarks.case import LIMIT_MARK, limit_of
from benchmarks.entrants import in_order
from benchmarks.peers import PEERS
from benchmarks.summary import CORRECT, Standing, slopes

LARGE = 25.0
"""Least size of a fitness in MB for memory ratios; below it the memory of the process itself dominates."""
OVERRUN, GRACE = 0.1, 0.2
"""A time limit is kept if the excess is at most this share of the limit, plus this many seconds."""
NAMED = 4
"""Most instances named in a cell, before "and … more"."""


@dataclass(frozen=True)
class Section:
    """A table with a note before it; ``words`` is True if its cells are text rather than numbers."""

    title: str
    note: str
    header: Sequence[str]
    cells: Sequence[Sequence[str]]
    words: bool = False


def sections(found: Sequence[Standing], *, reference: str, in_process: bool) -> list[Section]:
    """Return all tables that are not empty.

    Parameters
    ----------
    found
        The standings of one suite.
    reference
        The contender that the times of the others are compared with.
    in_process
        Whether ``flow`` and the reference ran alternately in one process, so that their difference is an overhead.
    """
    timed = [one for one in found if one.outcome in ("answered", "wrong")]
    tables = [
        _limits(found),
        _pivot(
            found,
            "Seconds",
            "Median seconds of build + solve, from raw arrays to the answer; without an answer, the reason.",
            _time,
        ),
        _against(timed, reference),
        _best_peers(timed),
        _pivot(
            timed,
            "Peak memory",
            "Rise of resident memory above the loaded instance in MB, the largest of the repeats.",
            _peak,
        ),
        _shares(timed),
        _pivot(
            timed,
            "Gap",
            "Relative gap to the best bound that any contender proved for the instance, the worst of the repeats.",
            _gap,
        ),
        _growth(found),
        _absent(found),
        _everything(timed),
    ]
    if in_process:
        tables.insert(0, _overhead(found, reference))
    return [table for table in tables if table.cells]


def _limits(found: Sequence[Standing]) -> Section:
    """Return by how much each contender exceeded each time limit, and the gap of its answer."""
    limited = [one for one in found if limit_of(one.instance) is not None and not math.isnan(one.slowest)]
    note = (
        f"Seconds beyond the time limit (the number behind {LIMIT_MARK}), certificate included, the worst of the "
        f"repeats; then the gap of the answer, or — without one. ! marks more than {OVERRUN:.0%} of the limit + "
        f"{GRACE:g} s."
    )
    return _pivot(limited, "Overrun", note, _overrun)


def _overrun(one: Standing) -> str:
    limit = limit_of(one.instance)
    assert limit is not None
    over = one.slowest - limit
    answer = _gap(one) if one.outcome in ("answered", "wrong") else "—"
    return f"{over:+.2f} / {answer}" + (" !" if over > OVERRUN * limit + GRACE else "")


def _pivot(found: Sequence[Standing], title: str, note: str, cell: Callable[[Standing], str]) -> Section:
    """Return a table with one row per instance and one column per contender."""
    contenders = in_order(one.contender for one in found)
    instances = list(dict.fromkeys(one.instance for one in found))
    texts = {(one.instance, one.contender): cell(one) for one in found}
    if any(text.endswith("*") for text in texts.values()):
        note += f" *: a gap above {CORRECT:g} remains."
    cells = [[instance, *(texts.get((instance, name), "") for name in contenders)] for instance in instances]
    return Section(title, note, ["instance", *contenders], cells)


def _against(timed: Sequence[Standing], reference: str) -> Section:
    base = {one.instance: one.total for one in timed if one.contender == reference}
    compared = [one for one in timed if one.instance in base and one.contender != reference]
    note = f"Median total time of {reference} divided by the contender's, on the same instance in the same run."
    return _pivot(compared, f"Against {reference}", note, lambda one: f"{base[one.instance] / one.total:.3g}")


def _best_peers(timed: Sequence[Standing]) -> Section:
    """Return the fastest peer of each instance, and its time divided by that of each other contender."""
    others = in_order(one.contender for one in timed if one.contender not in PEERS)
    best: dict[str, Standing] = {}
    for one in timed:
        if one.contender in PEERS and one.outcome == "answered":
            known = best.setdefault(one.instance, one)
            best[one.instance] = min(known, one, key=lambda each: (each.gap > CORRECT, each.total))
    totals = {(one.instance, one.contender): one.total for one in timed}
    cells = [
        [
            *(instance, peer.contender, _milliseconds(peer.total)),
            *(_compared(peer.total, totals.get((instance, name), math.nan)) for name in others),
        ]
        for instance, peer in best.items()
    ]
    note = (
        "The fastest peer that reached the best bound of the instance, or the fastest of all where none did; its "
        "median milliseconds; then for each other contender its own, and the peer's time divided by it. ! marks one "
        "that is slower than the peer."
    )
    return Section("Against the best peer", note, ["instance", "best peer", "ms", *others], cells if others else [])


def _compared(peer: float, total: float) -> str:
    if math.isnan(total):
        return "—"
    return f"{_milliseconds(total)} / {peer / total:.3g}" + (" !" if total > peer else "")


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}" if seconds < 0.1 else f"{1e3 * seconds:.0f}"


def _overhead(found: Sequence[Standing], reference: str) -> Section:
    """Return the overhead of solve() over its back end and over a hand-written script."""
    script = {one.instance: one for one in found if one.contender == reference and one.repeats}
    cells = [
        [
            one.instance,
            *(_seconds(one.solve), _seconds(one.backend), _seconds(script[one.instance].total)),
            *(f"{one.solve / one.backend:.2f}", f"{one.solve / script[one.instance].total:.2f}"),
            str(one.repeats),
        ]
        for one in found
        if one.contender == "flow" and one.repeats and one.instance in script
    ]
    note = (
        'solve(problem, "flow"), certificate included, over the time inside its back end, and over a hand-written '
        f"{reference} script (build + solve) that keeps six decimals of the fitness and proves nothing."
    )
    header = ["instance", "solve()", "its back end", "script", "over its back end", "over the script", "repeats"]
    return Section("What solve() adds", note, header, cells)


def _shares(timed: Sequence[Standing]) -> Section:
    """Return the memory in units of the fitness, for instances with a large fitness."""
    cells = [
        [
            *(one.instance, one.contender, f"{one.fitness:.0f}", _peak(one), f"{one.peak / one.fitness:.2f}"),
            *(f"{one.resident:.0f}", _seconds(one.total)),
        ]
        for one in timed
        if one.fitness >= LARGE
    ]
    note = (
        "MB of the fitness, and of a sparse instance those of its stored pairs; rise of resident memory above the "
        "loaded instance, answer included; their ratio; and the largest resident memory. Pages of a mapped fitness "
        "count as a rise once they are read."
    )
    header = ["instance", "contender", "fitness", "extra", "extra / fitness", "resident", "seconds"]
    return Section("Memory against the fitness", note, header, cells)


def _growth(found: Sequence[Standing]) -> Section:
    cells = [
        [f"{family} x {experts}", contender, f"{slope:.2f}"]
        for (family, experts, contender), slope in slopes(found).items()
    ]
    note = "Slope of log seconds against log clients, over the sizes with an answer."
    return Section("Growth", note, ["family", "contender", "slope"], cells)


def _absent(found: Sequence[Standing]) -> Section:
    groups: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for one in found:
        if one.outcome != "answered":
            groups[one.contender, one.outcome, one.reason].append(one.instance)
    cells = [[*why, _listed(instances)] for why, instances in groups.items()]
    header = ["contender", "outcome", "reason", "instances"]
    return Section("Without an answer", "Contenders without an answer, and the reasons.", header, cells, words=True)


def _listed(instances: list[str]) -> str:
    more = f" and {len(instances) - NAMED} more" if len(instances) > NAMED else ""
    return ", ".join(instances[:NAMED]) + more


def _everything(timed: Sequence[Standing]) -> Section:
    header = ["instance", "contender", "claims", "build", "solve", "total", "× argmax", "MB", "gap", "repeats"]
    cells = [
        [
            *(one.instance, one.contender, one.status),
            *(_seconds(one.build), _seconds(one.solve), _seconds(one.total)),
            *(f"{one.yardstick:.0f}", _peak(one), _gap(one), str(one.repeats)),
        ]
        for one in timed
    ]
    return Section("All medians", "Seconds; memory above the loaded instance.", header, cells)


def _time(one: Standing) -> str:
    if one.outcome != "answered":
        return one.outcome
    return _seconds(one.total) + ("" if one.gap <= CORRECT else "*")


def _gap(one: Standing) -> str:
    if one.outcome == "wrong":
        return "wrong"
    if math.isinf(one.gap):
        return "?"
    return "0" if one.gap == 0.0 else "< 1e-9" if one.gap <= OPTIMALITY else f"{one.gap:.1e}"


def _peak(one: Standing) -> str:
    return f"{one.peak:.0f}"


def _seconds(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
